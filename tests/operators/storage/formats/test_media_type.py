import pytest

from operators.storage.formats.media_type import media_type


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("text/html", ("text/html", None)),
        ("Text/HTML; Charset=EUC-KR", ("text/html", "euc-kr")),
        ('text/html; charset="utf-8"; x=1', ("text/html", "utf-8")),
        ("text/html; charset='utf-8", ("text/html", "utf-8")),
        ("text/html, text/html; charset=utf-8", ("text/html", "utf-8")),
        ("text/html; charset=utf-8, text/html", ("text/html", "utf-8")),
        ("text/html; charset=utf-8, text/plain", ("text/plain", None)),
        ("text/plain, text/html", ("text/html", None)),
        ("text/html, x", ("text/html", None)),
        ("text/html, */*", ("text/html", None)),
        ('text/html; a="b, c/d"; charset=cp949', ("text/html", "cp949")),
        ("html", ("", None)),
        ("", ("", None)),
        (",;,", ("", None)),
    ],
)
def test_of_several_types_the_last_one_counts_that_is_one(field, expected):
    assert media_type(field) == expected

from operators.page import Markup, document, fold, shown, table


def test_text_is_escaped_and_markup_is_not():
    html = table(["<a>", Markup("<b>bold</b>")], [["x & y", Markup("<i>z</i>")]])
    assert "&lt;a&gt;" in html
    assert "<b>bold</b>" in html
    assert "x &amp; y" in html
    assert "<i>z</i>" in html
    assert fold("<s>", "<p>") == "<details><summary>&lt;s&gt;</summary><p></details>"


def test_signs_without_a_shape_get_one():
    assert shown("\x00\r\t\n<") == "␀␍\t\n&lt;"


def test_a_document_shows_its_title_as_it_is():
    html = document("</title><script>", ["<p>in"], ".own {}")
    assert html.count("<script>") == 0
    assert html.count("&lt;/title&gt;&lt;script&gt;") == 2
    assert ".own {}" in html
    assert html.startswith("<!doctype html>")

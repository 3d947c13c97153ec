import re
from html.parser import HTMLParser

import numpy as np
import pytest

from operators.select.choices import ReportConfig, page, report
from tests.operators.select.choices.pools import chosen_of, parts, pool_of

NASTY = "<script>alert('&')</script>"


class Reader(HTMLParser):
    """Reads back what a browser would: tags, attributes and the text of elements by tag."""

    def __init__(self, html: str):
        super().__init__()
        self.tags, self.attributes, self.inside, self.texts = [], [], [], {}
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        self.inside.append(tag)
        self.texts.setdefault(tag, []).append("")

    def handle_endtag(self, tag):
        if tag in self.inside:
            del self.inside[len(self.inside) - 1 - self.inside[::-1].index(tag) :]

    def handle_data(self, data):
        for tag in set(self.inside):
            self.texts[tag][-1] += data


@pytest.fixture(scope="module")
def html() -> str:
    pool = pool_of(200)
    long = pool.set_column(1, "text", [[f"{NASTY} 물레방아 {row} " * (100 if row == 3 else 1) for row in range(200)]])
    chosen = [
        chosen_of(long, f"zip {NASTY}", [3, 1, 2], settings={"k$1$": NASTY}, notes={"<i>": 1}, excluded={NASTY: 2}),
        chosen_of(long, "random", [*range(50)], scores_M=np.linspace(0, 1, 50)),
    ]
    facts = {"model": NASTY, "limits": {"tokens": 512}}
    return page(report(f"a {NASTY} title", 200, parts(long), chosen, ReportConfig(sample=50), facts=facts))


def test_the_page_runs_nothing_and_loads_nothing(html):
    read = Reader(html)
    assert not {"script", "link", "img", "iframe", "object", "i", "b"} & set(read.tags)
    assert not [name for name, _ in read.attributes if name == "src" or name.startswith("on")]
    assert not [value for name, value in read.attributes if name.endswith("href") and not value.startswith("#")]
    assert "@import" not in html
    assert not re.search(r"url\((?!#)", html)


def test_what_is_given_is_shown_as_it_is(html):
    read = Reader(html)
    assert read.texts["title"] == read.texts["h1"] == [f"a {NASTY} title"]
    assert f"zip {NASTY}" in read.texts["td"]
    assert f"{NASTY} 2" in read.texts["td"]
    assert "settings.k$1$" in read.texts["td"]
    assert f"{NASTY} 물레방아 1 " in read.texts["pre"]
    assert any(text.startswith(f"zip {NASTY}"[:20]) for text in read.texts["text"])


def test_a_long_text_is_cut_and_folded_whole(html):
    read = Reader(html)
    texts = [text for text in read.texts["pre"] if "물레방아 3 " in text]
    assert texts[-1] == f"{NASTY} 물레방아 3 " * 100
    assert texts[-2].endswith("…")
    assert len(texts[-2]) < 700


def test_pages_of_little_have_no_empty_sections():
    pool = pool_of(20).select(["id"])
    made = report("bare", 20, [pool], [chosen_of(pool, "only", [0])], ReportConfig())
    headings = Reader(page(made)).texts["h2"]
    assert headings == ["Choices", "Diversity and coverage", "First picks", "Settings and notes"]


def test_no_number_of_an_empty_choice_is_nan():
    pool = pool_of(20)
    html = page(report("none", 20, [pool], [chosen_of(pool, "none", [])], ReportConfig()))
    assert "nan" not in " ".join(Reader(html).texts["td"])


def test_the_same_report_is_the_same_page():
    def made() -> str:
        pool = pool_of(50)
        return page(report("t", 50, [pool], [chosen_of(pool, "a", [1, 2])], ReportConfig(sample=20)))

    assert made() == made()

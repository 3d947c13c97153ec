import re
from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from operators.learn.dynamics import (
    DynamicsReport,
    SampleText,
    TokenStatistics,
    classify,
    curves_of,
    mean_last_loss,
    page,
    plot_curves,
    totals_of,
)

TEXT = '<script>alert("&")</script>한\n'


def tokenizer() -> Tokenizer:
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    made = Tokenizer(models.BPE(vocab={letter: i for i, letter in enumerate(letters)}, merges=[]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    return made


@pytest.fixture(scope="module")
def report() -> DynamicsReport:
    tokens_T = np.array(tokenizer().encode(TEXT).ids)
    T = len(tokens_T)
    losses_XT = np.stack([np.linspace(0.5, 4, T)] * 3)
    losses_XT[:, 3] = 3, 2, 1  # falls
    losses_XT[:, 4] = 1, 2, 3  # rises
    losses_XT[:, 0] = np.nan
    statistics = TokenStatistics(T)
    for losses_T in losses_XT:
        statistics.add(losses_T)
    mean = mean_last_loss([statistics])
    classes = classify(statistics, mean)
    kept_T = np.arange(T) % 2 == 0
    sample = SampleText("one & <two>", tokens_T, classes.code, losses_XT[0], losses_XT[-1], classes.change, kept_T)
    curves = curves_of(classes.code, losses_XT)
    return DynamicsReport("a <b>run</b>", ["<0>", "$1", "x $ y"], totals_of(classes), curves, 0.2, mean, [sample])


class Reader(HTMLParser):
    """Reads back what a browser would: tags, spans of tokens, and the texts of titles, headings and samples."""

    def __init__(self, html: str):
        super().__init__()
        self.tags, self.attributes, self.tokens, self.inside, self.texts = [], [], [], [], {}
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        self.inside.append(tag)
        if tag == "span":
            self.tokens.append(dict(attrs) | {"text": ""})

    def handle_endtag(self, tag):
        if tag in self.inside:
            del self.inside[len(self.inside) - 1 - self.inside[::-1].index(tag) :]

    def handle_data(self, data):
        for tag in set(self.inside):
            self.texts[tag] = self.texts.get(tag, "") + data
        if "span" in self.inside:
            self.tokens[-1]["text"] += data


def test_the_page_runs_nothing_and_loads_nothing(report):
    html = page(report, tokenizer())
    read = Reader(html)
    assert not {"script", "link", "img", "iframe", "object", "b"} & set(read.tags)
    assert not [name for name, _ in read.attributes if name in ("src", "onload", "onclick")]
    assert not [value for name, value in read.attributes if name.endswith("href") and not value.startswith("#")]
    assert "@import" not in html
    assert not re.search(r"url\((?!#)", html)


def test_titles_and_texts_are_shown_as_they_are(report):
    read = Reader(page(report, tokenizer()))
    assert read.texts["title"] == read.texts["h1"] == "a <b>run</b>"
    assert read.texts["h3"] == "one & <two>"
    assert read.texts["pre"] == TEXT.replace("\n", "↵\n")


def test_every_token_has_its_class_its_selection_and_its_losses(report):
    tokens = Reader(page(report, tokenizer())).tokens
    assert len(tokens) == len(report.samples[0].tokens_T)
    assert tokens[0]["class"] == "cu ku"
    assert tokens[0]["title"] == "no prediction"
    assert tokens[3]["class"] == "c2 k0"
    assert tokens[3]["title"] == "H→L: 3.00 → 1.00, change -2.00, not kept"
    assert tokens[4]["class"] == "c1 k1"
    assert tokens[4]["title"] == "L→H: 1.00 → 3.00, change +2.00, kept"


def test_bytes_of_one_character_are_marked_as_parts_and_the_character_is_whole(report):
    tokens = Reader(page(report, tokenizer())).tokens
    place = next(index for index, token in enumerate(tokens) if token["text"] == "한")
    assert ["part" in token["class"] for token in tokens[place - 2 : place + 1]] == [True, True, False]


def test_without_a_mask_there_is_no_view_of_the_selection(report):
    bare = replace(report, samples=[replace(report.samples[0], kept_T=None)])
    html = page(bare, tokenizer())
    assert 'id="selection"' not in html
    assert 'id="selection"' in page(report, tokenizer())
    assert Reader(html).tokens[3]["class"] == "c2"


def test_signs_that_have_no_shape_are_shown_by_signs_that_have(report):
    tokens_T = np.array(tokenizer().encode("\x00\r\t").ids)
    none_T = np.full(3, np.nan)
    sample = SampleText("signs", tokens_T, np.full(3, -1), none_T, none_T, none_T)
    assert Reader(page(replace(report, samples=[sample]), tokenizer())).texts["pre"] == "␀␍\t"


def test_a_class_without_tokens_and_two_checkpoints_leave_no_nan(report):
    losses_XN = np.array([[1.0, 1.0], [1.0, 1.0]])
    statistics = TokenStatistics(2)
    for losses_N in losses_XN:
        statistics.add(losses_N)
    classes = classify(statistics, 1.0)
    curves = curves_of(classes.code, losses_XN)
    html = page(DynamicsReport("r", ["0", "1"], totals_of(classes), curves, 0.2, 1.0, []), tokenizer())
    assert "nan" not in Reader(html).texts["table"]


def test_the_plot_is_well_formed_names_its_checkpoints_and_is_the_same_every_time(report):
    picture = plot_curves(report.curves, report.checkpoints)
    texts = [element.text for element in ElementTree.fromstring(picture).iter() if element.tag.endswith("text")]
    assert {*report.checkpoints, "H→H", "L→H", "H→L", "L→L", "all tokens"} <= set(texts)
    assert picture == plot_curves(report.curves, report.checkpoints)


def test_a_plot_of_many_checkpoints_labels_some_of_them(report):
    curves = replace(report.curves, sums_XC=np.ones((300, 4)))
    picture = plot_curves(curves, [f"step-{x}" for x in range(300)])
    assert 2 <= picture.count("step-") <= 10

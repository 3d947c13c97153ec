import warnings
from xml.etree import ElementTree

from operators.page import OF_THE_TEXT, drawing, plain, written


def picture(label: str) -> str:
    with drawing(3, 2) as figure:
        axes = figure.add_subplot()
        axes.plot([0, 1], [1, 0], color=OF_THE_TEXT)
        axes.set_title(plain(label))
        return written(figure)


def test_a_picture_is_well_formed_takes_the_colour_of_the_text_and_is_the_same_every_time():
    svg = picture("losses")
    ElementTree.fromstring(svg)
    assert "currentColor" in svg
    assert OF_THE_TEXT not in svg
    assert svg == picture("losses")


def test_labels_are_text_as_they_are_in_any_script_without_a_warning():
    label = r"$x$ <script> & 물레방아 \alpha"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        svg = picture(label)
    texts = [element.text for element in ElementTree.fromstring(svg).iter() if element.tag.endswith("text")]
    assert label in texts

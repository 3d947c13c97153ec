"""Main text by Resiliparse: a few rules over a fast parser, as DCLM took it for its web pages.

Source: Bevendorff et al. 2018, "Elastic ChatNoir"; DataComp-LM, arXiv:2406.11794, section 4.1.
"""

from functools import partial

from operators.text.extract.base import MainText


def load() -> MainText:
    from resiliparse.extract.html2text import extract_plain_text

    return partial(extract_plain_text, main_content=True, alt_texts=False, comments=False)

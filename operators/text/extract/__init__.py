"""HTML to main text.

base.py           the contract of an extractor, and the table of those there are
process.py        the process of its own in which pages are extracted
charset.py        the encoding of a page
trafilatura.py    by rules and fallbacks made for precision
resiliparse.py    by rules made for speed
"""

from operators.text.extract.base import EXTRACTORS, ExtractConfig, ExtractorFailure, NoText
from operators.text.extract.charset import decode
from operators.text.extract.process import extract

__all__ = ["EXTRACTORS", "ExtractConfig", "ExtractorFailure", "NoText", "decode", "extract"]

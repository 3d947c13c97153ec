"""A demonstration model for machines that reach no model hub: made here, in minutes, from what Python brings.

make.py         trains it from scratch
docstrings.py   prose that is on every machine
rewriting.py    the rules that it learns
circuits.py     initial weights that already copy
tokenizer.py    its tokenizer
"""

from operators.models.demo_model.docstrings import docstrings
from operators.models.demo_model.make import DemoModelConfig, make_demo_model

__all__ = ["DemoModelConfig", "docstrings", "make_demo_model"]

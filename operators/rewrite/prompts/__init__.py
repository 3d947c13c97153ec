"""Prompts: one Markdown file each, and how they are read, filled and their answers parsed.

base.py      what a prompt is, and how it is filled
load.py      a prompt from its file
parsers.py   answers read in the form that a prompt asks for
"""

from operators.rewrite.prompts.base import ORDERS, Prompt
from operators.rewrite.prompts.load import load_prompt, prompt_names
from operators.rewrite.prompts.parsers import PARSERS, Parsed

__all__ = ["ORDERS", "PARSERS", "Parsed", "Prompt", "load_prompt", "prompt_names"]

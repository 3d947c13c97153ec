"""Prompts: one Markdown file each, and how they are read, filled and their answers parsed."""

from operators.prompts.base import ORDERS, Prompt
from operators.prompts.load import load_prompt, prompt_names
from operators.prompts.parsers import PARSERS, Parsed

__all__ = ["ORDERS", "PARSERS", "Parsed", "Prompt", "load_prompt", "prompt_names"]

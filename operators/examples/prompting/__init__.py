"""Examples as the tokens that a model reads: templates frame what is said, and the answer's tokens are marked.

prompting.py   from examples to tokens, and which of them are the answer
templates.py   the standard frames of the field
chat.py        a model's own chat template
jinja.py       a chat template as a program, and what is learned of it by trying it out
places.py      where a chat template writes each turn
encoding.py    texts into tokens, with the places of their parts
"""

from operators.examples.prompting.prompting import Prompting, PromptingConfig, Tokens
from operators.examples.prompting.templates import FRAMES, TEMPLATES, UNPLACED, Segment

__all__ = ["FRAMES", "TEMPLATES", "UNPLACED", "Prompting", "PromptingConfig", "Segment", "Tokens"]

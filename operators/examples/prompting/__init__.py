"""Examples as the tokens that a model reads: templates frame what is said, and the answer's tokens are marked.

`templates.py` has the frames, `chat.py` a model's own; `encoding.py` turns framed text into tokens; `prompting.py` is what a
measure or a pipeline calls.
"""

from operators.examples.prompting.prompting import Prompting, PromptingConfig, Tokens
from operators.examples.prompting.templates import TEMPLATES, Segment

__all__ = ["TEMPLATES", "Prompting", "PromptingConfig", "Segment", "Tokens"]

"""Signs of a chat template, of a prompt's frame or of reasoning inside the answer."""

import re
from functools import partial
from itertools import chain

from operators.rewrite.rules.base import Drop, JudgedRewrite
from operators.rewrite.thoughts import Thoughts

INSIDE = re.compile(  # every arm begins with a sign, so that the search leaps from sign to sign
    r"<\|[\w ]{1,30}\|>|<\uff5c[^\n\uff5c]{1,40}\uff5c>|</?s>|<(?:bos|eos|pad)>|<(?:start|end)_of_turn>|"
    r"</?(?:passage|previous)>|\[/?INST\]|<</?SYS>>|\{\{ ?text ?\}\}|\{text\}"
)
LINES = re.compile(
    r"\n(?:#{2,4} ?(?:Response|Instruction|Input|Output|Assistant|User|Human):?[ \t]*(?=\n|\Z)|"
    r"### ?(?:Response|Instruction):|(?:USER|ASSISTANT|SYSTEM):|=+ (?:THOUGHTS|REWRITE|END) =+)"
)


def marked(rewrite: JudgedRewrite, thoughts: Thoughts) -> str | None:
    """Name the first marker that the source does not have."""
    text, source = "\n" + rewrite.written.value, rewrite.source.value
    markers = (found[0].strip() for found in chain(INSIDE.finditer(text), LINES.finditer(text)))
    stray = next((marker for marker in markers if marker not in source), None) or thoughts.left_in(text, source)
    return f"the answer holds {stray!r}, the source does not" if stray else None


RULE = Drop(
    "drop an answer with signs of a chat template or of reasoning, such as <|im_start|> or [THINK]",
    lambda config: partial(marked, thoughts=Thoughts(config.thoughts or ())),
)

"""Signs of a chat template or of a prompt's frame inside the answer."""

import re
from itertools import chain

from operators.rewrite.rules.base import Drop, JudgedRewrite

INSIDE = re.compile(  # every arm begins with a sign, so that the search leaps from sign to sign
    r"<\|[\w ]{1,30}\|>|<\uff5c[^\n\uff5c]{1,40}\uff5c>|</?s>|<(?:bos|eos|pad)>|<(?:start|end)_of_turn>|"
    r"</?(?:passage|previous)>|</?think(?:ing)?>|\[/?INST\]|<</?SYS>>|\{\{ ?text ?\}\}|\{text\}"
)
LINES = re.compile(
    r"\n(?:#{2,4} ?(?:Response|Instruction|Input|Output|Assistant|User|Human):?[ \t]*(?=\n|\Z)|"
    r"### ?(?:Response|Instruction):|(?:USER|ASSISTANT|SYSTEM):|=+ (?:THOUGHTS|REWRITE|END) =+)"
)


def marked(rewrite: JudgedRewrite) -> str | None:
    """Name the first marker that the source does not have."""
    text = "\n" + rewrite.written.value
    for found in chain(INSIDE.finditer(text), LINES.finditer(text)):
        if found[0].strip() not in rewrite.source.value:
            return f"the answer holds {found[0].strip()!r}, the source does not"
    return None


RULE = Drop("drop an answer with signs of a chat template, such as <|im_start|>", lambda config: marked)

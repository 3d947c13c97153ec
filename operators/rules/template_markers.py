"""Signs of a chat template or of a prompt's frame inside the answer."""

import re

from operators.rules.base import Row

MARKER = re.compile(
    "|".join(
        [
            r"<\|[\w ]{1,30}\|>|<\uff5c[^\n\uff5c]{1,40}\uff5c>|</?s>|<(?:bos|eos|pad)>|<(?:start|end)_of_turn>",
            r"\[/?INST\]|<</?SYS>>|\{\{ ?text ?\}\}|\{text\}|</?(?:passage|previous)>|</?think(?:ing)?>",
            r"^#{2,4} ?(?:Response|Instruction|Input|Output|Assistant|User|Human):?[ \t]*$",
            r"^### ?(?:Response|Instruction):|^(?:USER|ASSISTANT|SYSTEM):|^=+ (?:THOUGHTS|REWRITE|END) =+",
        ]
    ),
    re.MULTILINE,
)


def marked(row: Row) -> str | None:
    """Name the first marker that the source does not have."""
    for found in MARKER.finditer(row.written.value):
        if found[0].strip() not in row.source.value:
            return f"the answer holds {found[0].strip()!r}, the source does not"
    return None

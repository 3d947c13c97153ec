"""The contract of a prompt: a Markdown file with settings on top, instructions, and one `{text}` slot.

    ---
    summary: one line for `gristmill list`
    max_tokens: 512
    ---
    Rewrite the passage as a poem.

    <passage>
    {text}
    </passage>

The built-in prompts lie beside this file and hold the slot in just that paragraph, so that with `text_first` the styles of
one chunk share their prefix in the engine's cache; and each says that the language of the passage is kept. Those for small
models are another kind: the instruction is the `system` line, and the bare text is all of the user's turn. A user's own file is
named by its path.
"""

import re
from dataclasses import dataclass
from functools import cached_property

from operators.errors import BadRequest
from operators.rewrite.prompts.parsers import PARSERS, Parsed

SLOT = "{text}"
ASSISTANT = "You are a careful assistant. Your answers are helpful, detailed and polite."
ORDERS = ("instruction_first", "text_first")
CONTEXT = (
    "The document's rewrite up to this passage ends with these lines:\n<previous>\n",
    "\n</previous>\n"
    "Go on from there. Keep names, terms and tone in step with those lines and do not say again what they say.",
)
LEAD = r"\A(?:[^\n]{0,60}[!,:]\s+)?[\s*#\"“]*"  # "Sure! " and Markdown may stand before the fixed opening line


@dataclass(frozen=True)
class Prompt:
    """One way of rewriting. The fields up to `top_p` can be set in the file's front matter."""

    summary: str = ""
    system: str = ASSISTANT  # the system line; empty for none
    max_tokens: int = 512  # cap of the completion
    min_source_tokens: int = 0  # shorter chunks are not worth a request
    min_completion_tokens: int = 0  # a shorter text is rejected as too_short
    min_length_ratio: float = 0.2  # characters written / characters of the source
    max_length_ratio: float = 4.0
    required_prefix: str | None = None  # the fixed opening line; cut after the check
    stop: tuple[str, ...] = ()
    parser: str = "plain"
    temperature: float = 0.7
    top_p: float = 0.95
    name: str = ""  # the `style` of its rows
    body: str = ""
    identity: str = ""  # hash of the file's content

    def messages(
        self, text: str, *, system: str | None = None, order: str = ORDERS[0], context: str | None = None
    ) -> tuple[dict[str, str], ...]:
        """Fill the slot and give chat messages, with a system message unless it is empty; null means the prompt's own.

        `text` goes in as it is, whatever braces it holds. `order` is "instruction_first" (as the file is written) or
        "text_first" (the slot's paragraph leads). `context`, the rewrite of the chunk before, follows the passage.
        An empty text gives what the prompt itself costs.
        """
        if order not in ORDERS:
            raise BadRequest(f"there is no prompt order {order!r}. There are: {', '.join(ORDERS)}.")
        before, slot, after = self._paragraphs
        passage = [slot.replace(SLOT, text)]
        if context:
            passage.append(context.join(CONTEXT))
        parts = [*before, *passage, *after] if order == ORDERS[0] else [*passage, *before, *after]
        user = {"role": "user", "content": "\n\n".join(parts)}
        system = self.system if system is None else system
        return ({"role": "system", "content": system}, user) if system else (user,)

    def parse(self, answer: str, source: str, source_tokens: int, key: str) -> Parsed:
        """Check and cut the fixed opening line, then bring the answer into its form. `key` seeds what is drawn."""
        if self.required_prefix:
            found = self._prefix.match(answer)
            if not found:
                return Parsed(answer, answer, "prefix_missing", f"does not begin with {self.required_prefix!r}")
            answer = answer[found.end() :]
        return PARSERS[self.parser](answer, source, source_tokens, key)

    @property
    def instructions(self) -> str:
        """The prompt's own words, without the slot's paragraph."""
        before, _, after = self._paragraphs
        return "\n\n".join([self.system, *before, *after])

    @cached_property
    def _paragraphs(self) -> tuple[list[str], str, list[str]]:
        paragraphs = re.split(r"\n[ \t]*\n\s*", self.body)
        place = next(index for index, paragraph in enumerate(paragraphs) if SLOT in paragraph)
        return paragraphs[:place], paragraphs[place], paragraphs[place + 1 :]

    @cached_property
    def _prefix(self) -> re.Pattern:
        prefix = self.required_prefix.strip()
        words = r"\s+".join(map(re.escape, prefix.rstrip(":").split()))
        colon = r"[ \t]*(?:[:\uff1a]|(?=\n|\Z))" if prefix.endswith(":") else ""
        return re.compile(rf"{LEAD}{words}\**{colon}\**\s*", re.IGNORECASE)

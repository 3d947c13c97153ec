"""The forms in which models write their reasoning into an answer, and what of the answer is left without it.

Tags and marks around a thought are found by marks that open and close it; the channels of gpt-oss (harmony), which name each
piece of an answer, by their names. What the source says itself is no mark, but for a thought that the answer begins with.
Source: the reasoning parsers of vLLM and SGLang, and what servers let through that have none.
"""

import re
from bisect import bisect
from collections.abc import Sequence

from operators.errors import BadRequest

BETWEEN = "..."  # in a mark that a user names: what opens a thought ... what closes it

NAMES = (
    "think|thinking|thought|thoughts|reason|reasoning|reflection|scratch[_-]?pad|cot|chain[_-]of[_-]thought|inner[_-]monologue|"
    "antthinking|analysis"
)
TAG = (
    rf"(?:[\w.-]{{1,20}}[:_|])?(?:{NAMES})(?:[:_][\w.-]{{1,20}})?"  # <seed:think>, <longcat_think>, <think:opensource>
)
LESS, MORE = "(?:<|&lt;|\uff1c)", "(?:>|&gt;|\uff1e)"  # plain, escaped, and as East Asian keyboards write them


def _opening(tag: str) -> str:
    return rf"{LESS}[ \t]?{tag}(?:\s(?:(?!&gt;)[^<>\uff1e]){{0,80}})?(?<!/){MORE}"


def _closing(tag: str) -> str:
    """Match what closes a tag, and the tag that is closed at once: there is no thought, then."""
    return rf"{LESS}[ \t]?/[ \t]?{tag}\s{{0,2}}{MORE}|{LESS}{tag}\s{{0,2}}/{MORE}"


UPPER = "THINK|THINKING|THOUGHT|REASONING"
OPEN = (
    _opening(TAG),
    rf"\[(?-i:{UPPER})\]",  # Mistral's; in small letters it would be a link's text
    rf"◁(?:{NAMES})▷",
    rf"<\|(?:{NAMES})(?:_begin|_start)?\|>",
    rf"<\|(?:[\w.-]{{1,20}}:)?(?:begin|start)_(?:of_)?(?:{NAMES})(?::[\w.-]{{1,20}})?\|>",
    r"<\|content_thinking\|>",
    r"<\|open\|>\s?think\s?<\|sep\|>",
    r"<\|channel>(?:thought)?",  # Gemma 4
    r"<unused94>(?:thought)?",  # MedGemma
    r"<\|im_start\|>think\b",
    r"<details\b[^<>\n]{0,80}\breasoning\b[^<>\n]{0,80}>",
)
CLOSE = (
    _closing(TAG),
    rf"\[/(?-i:{UPPER})\]",
    rf"◁/(?:{NAMES})▷",
    rf"<\|(?:/(?:{NAMES})|(?:{NAMES})_end)\|>",
    rf"<\|(?:[\w.-]{{1,20}}:)?end_(?:of_)?(?:{NAMES})(?::[\w.-]{{1,20}})?\|>",
    r"<\|close\|>\s?think\s?<\|sep\|>",
    r"<channel\|>",
    r"<unused95>",
    r"<\|im_start\|>answer\b",
    r"\[BEGIN FINAL RESPONSE\]",
    r"\.\.\.done thinking\.(?=\s|\Z)",
)
# What opens a thought only where the answer begins, and what closes one only where one is open.
FIRST = (
    r"\A\s*Here(?:['\u2019]s| is) my thought process:",
    r"\A\s*Here are my reasoning steps:",
    r"\A\s*Thinking\.\.\.[ \t]*\n",
)
WITHIN = (r"Here(?:['\u2019]s| is) my response:", r"</details>", r"<\|end_message\|>", r"<\|end\|>")
SIGNS = ("<", "&lt;", "\uff1c", "[", "◁", "Here", "Thinking...", "...done")  # one of them is in every mark

# Channels: <|channel|>NAME<|message|>what is said in it<|end|>
MESSAGE, CHANNEL, START = "<|message|>", "<|channel|>", "<|start|>"
CHANNEL_END = re.compile(r"<\|(?:end|eom|eot|return|call)\|>")
OWN = re.compile(r"\s*(?:assistant\s*)?(?:analysis|commentary|thought|thinking|to=(?!user\b))")
# The same where the tokenizer has left out what stands between the names.
TALK = re.compile(
    r"\s*(?:Okay|Ok|Alright|Hmm|Let me|Let's|The user|We need|I need|I should|Here's a thinking|First,)\b"
)
BARE = re.compile(r"\A\s*(?:assistant\s*)?(?:analysis|commentary)")
BARE_OWN = re.compile(rf"{BARE.pattern}(?=\w|[\"'\u201c*(]|\s*\n|\s+[A-Z\"\u201c]|(?i:{TALK.pattern}))")
BARE_FINAL, BARE_THOUGHT = "assistantfinal", re.compile("assistant(?:analysis|commentary)")
SPACED_FINAL = re.compile(r"(?<=\W)assistant\s{1,2}final(?=[\s:*])")
BARE_LABEL = re.compile(r"\A\s*final(?=[A-Z\"\u201c*(]|\n)")
LABEL = re.compile(r"\A\s*thought[ \t]*\n")  # Gemma's. The thought may be empty

WRAPPER = re.compile(r"\A\s*<(answer|response|output|final_answer|final|solution|conclusion)>\s*", re.IGNORECASE)
CODE = re.compile(r"`[^`\n]{1,200}`")
FENCE = re.compile(r"^[ \t]*```", re.MULTILINE)
EMPTY_FENCE = re.compile(r"\A\s*```[\w-]*\s+```[ \t]*(?:\n\s*|\Z)")  # around a thought, before the answer


class Thoughts:
    """Cuts the reasoning out of answers; `more` are marks that a user names, as NAME (of a tag) or OPENING...CLOSING.

    Raises BadRequest for a mark that is neither.
    """

    def __init__(self, more: Sequence[str] = ()):
        pairs = [_pair(mark) for mark in more]
        arms = {
            "first": FIRST,
            "open": (*(begin for begin, _ in pairs), *OPEN),
            "close": (*(end for _, end in pairs), *CLOSE),
            "within": WITHIN,
        }
        groups = (f"(?P<{kind}>{'|'.join(patterns)})" for kind, patterns in arms.items())
        self.marks, self.own = re.compile("|".join(groups), re.IGNORECASE), bool(more)

    def cut(self, text: str, source: str) -> str:
        """Give the answer without its reasoning: as it was where there is none, empty where a thought does not end.

        What stands before such a thought is no answer either: the model was not done.
        """
        rest = _final_channel(text, source)
        if self.own or any(sign in rest for sign in SIGNS):
            rest = self._without_blocks(rest, source.lower())
        return text if rest == text else _unwrapped(rest)

    def left_in(self, text: str, source: str) -> str | None:
        """Give the first mark of reasoning in a text that neither the source has nor code shows."""
        marks = [mark for mark in self.marks.finditer(text) if mark.lastgroup in ("open", "close")]
        shown, said = _shown(text, marks), source.lower()
        left = (mark[0].strip() for mark in marks if mark.start() not in shown)
        return next((mark for mark in left if mark.lower() not in said), None)

    def _without_blocks(self, text: str, said: str) -> str:
        """Cut from each mark that opens a thought to the one that closes it; what stands before a lone closing one is thought."""
        marks = list(self.marks.finditer(text))
        shown = _shown(text, marks)
        kept: list[str] = []
        begin, inside, quoted = 0, False, 0
        for mark in marks:
            opens = mark.lastgroup in ("open", "first")
            if mark.start() in shown or (inside and opens):
                continue
            if inside:
                inside, begin = False, mark.end()
            elif mark[0].strip().lower() in said and (quoted or not _leads(mark, text, said)):
                quoted += 1 if opens else -min(quoted, 1)
            elif opens:
                kept.append(text[begin : mark.start()])
                inside = True
            elif mark.lastgroup == "close":
                kept, begin = [], mark.end()
        if inside:
            return ""
        return EMPTY_FENCE.sub("", "".join([*kept, text[begin:].lstrip()])) if begin else text


def _leads(mark: re.Match, text: str, said: str) -> bool:
    """Whether a mark that the source has, too, is one of a thought still: it begins the answer, or has a line to itself."""
    if mark.lastgroup == "close":
        line = text[text.rfind("\n", 0, mark.start()) + 1 :].partition("\n")[0]
        return line.strip() == mark[0]
    return not text[: mark.start()].strip() and not said.lstrip().startswith(mark[0].strip().lower())


def _pair(mark: str) -> tuple[str, str]:
    """Read a mark that a user names: patterns for what opens and what closes a thought."""
    begin, dots, end = (part.strip() for part in mark.partition(BETWEEN))
    if dots and begin and end:
        return re.escape(begin), re.escape(end)
    if re.fullmatch(r"\w[\w:.-]*", mark):
        name = re.escape(mark)
        return rf"{_opening(name)}|\[{name}\]", rf"{_closing(name)}|\[/{name}\]"
    raise BadRequest(
        f"clean.thoughts names {mark!r}. A mark is the name of a tag, as plan for <plan> and [PLAN], or what opens and what "
        "closes a thought with three dots between them, as <|plan|>...<|/plan|>."
    )


def _final_channel(text: str, source: str) -> str:
    """Give what an answer in channels says to the user; the answer as it was where it has none."""
    if MESSAGE in text and MESSAGE not in source:
        return _said_to_user(text)
    if BARE_FINAL in text and BARE_FINAL not in source:
        final = text.rpartition(BARE_FINAL)[2].lstrip(" :\n")
        return "" if BARE_THOUGHT.search(final) else final
    if BARE.match(text) and (finals := list(SPACED_FINAL.finditer(text))):
        return text[finals[-1].end() :].lstrip(" :\n")
    if BARE_OWN.match(text) and not BARE_OWN.match(source):
        return ""
    if (label := LABEL.match(text)) and not LABEL.match(source):
        return "" if TALK.match(text, label.end()) else text[label.end() :]
    label = BARE_LABEL.match(text)
    return text[label.end() :] if label and not BARE_LABEL.match(source) else text


def _said_to_user(text: str) -> str:
    """Join the pieces of an answer in channels whose channel is not one of the model's own."""
    header, *pieces = text.split(MESSAGE)
    said, thinks = [], False
    for piece in pieces:
        end, own = CHANNEL_END.search(piece), OWN.match(_channel(header))
        if not own:
            said.append(piece[: end.start()] if end else piece.partition(CHANNEL)[0])
        header, thinks = piece[end.end() :] if end else piece, bool(own and not end)
    return "" if thinks else "".join(said)


def _channel(header: str) -> str:
    """Give what the header of a piece says of its channel."""
    return header.rpartition(CHANNEL if CHANNEL in header else START)[2]


def _unwrapped(text: str) -> str:
    """Take away a tag around all that is left, as models put it that tag their reasoning, too."""
    found = WRAPPER.match(text)
    if not found:
        return text
    end, rest = f"</{found[1]}>".lower(), text[found.end() :].rstrip()
    return rest[: -len(end)].rstrip() if rest.lower().endswith(end) else rest


def _shown(text: str, marks: Sequence[re.Match]) -> set[int]:
    """Find the marks that are shown in code: where they begin.

    A fence in which more closes than opens shows nothing, nor does code that begins the answer: models put it around thoughts.
    """
    if not marks or "`" not in text:
        return set()
    places = [mark.start() for mark in marks]
    fences = [found.start() for found in FENCE.finditer(text)]
    start = len(text) - len(text.lstrip())
    shown: set[int] = set()
    for begin, end in zip(fences[0::2], fences[1::2], strict=False):
        if begin <= start:
            continue
        within = range(bisect(places, begin), bisect(places, end))
        opened = sum(marks[index].lastgroup in ("open", "first") for index in within)
        shown.update(places[index] for index in within if 2 * opened >= len(within))
    for code in CODE.finditer(text):
        if code.start() > start:
            shown.update(places[bisect(places, code.start()) : bisect(places, code.end())])
    return shown

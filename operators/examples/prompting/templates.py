"""How the turns of an example are framed as one text, by the standard forms of the field."""

from typing import NamedTuple, Protocol

from operators.examples.base import Example, Turn

TEMPLATES = ("alpaca", "chat", "human", "plain", "tulu")


class Segment(NamedTuple):
    """A part of a framed text: markup of the template, or something said, which may be an answer to learn.

    `closes` marks the template's own end of an answer. `ends` tells that the token that ends a text stands after this part.
    """

    text: str
    markup: bool = False
    answer: bool = False
    closes: bool = False
    ends: bool = False


class Template(Protocol):
    """A way of framing. `turns` says which assistant turns are answers: last or all.

    `framed` gives the whole example, up to the end of its last answer; `direct` its answers alone, each behind the template's
    label for an answer, as IFD's second pass reads them. Neither is asked for a plain text. Both raise NoExample where the
    template cannot say it.
    """

    def framed(self, example: Example, turns: str) -> list[Segment]: ...

    def direct(self, example: Example, turns: str) -> list[Segment]: ...


def said(text: str, role: str, last: bool, turns: str, ends: bool = False) -> Segment:
    """Give what one side says as a segment; it is an answer where the assistant says it and `turns` takes this turn."""
    return Segment(text, answer=role == "assistant" and (last or turns == "all"), ends=ends)


class Frames:
    """A template that writes `before[role]` and `after[role]` around each turn, and nothing after the last answer.

    What a tool gave back is framed as a user's turn. `opening` stands before all, unless the example begins with a system
    turn of its own. With `ends_turns` every earlier answer too is ended by the token that ends a text. With `strip` the text
    begins and the last label ends without white space.
    """

    def __init__(
        self,
        before: dict[str, str],
        after: dict[str, str],
        opening: str = "",
        ends_turns: bool = False,
        strip: bool = False,
    ):
        self.before, self.after = ({"tool": around["user"]} | around for around in (before, after))
        self.opening = opening
        self.ends_turns, self.strip = ends_turns, strip

    def framed(self, example: Example, turns: str) -> list[Segment]:
        told = example.turns[0].role == "system"
        segments = [] if told else [Segment(self.opening, markup=True)]
        segments += self._between(example.turns, turns)
        if self.strip:
            segments = _stripped(segments)
        return [segment for segment in segments if segment.text]

    def direct(self, example: Example, turns: str) -> list[Segment]:
        answers = [turn for turn in example.turns if turn.role == "assistant"]
        segments = self._between(answers if turns == "all" else answers[-1:], turns)
        return [segment for segment in segments if segment.text]

    def _between(self, turns: tuple[Turn, ...] | list[Turn], which: str) -> list[Segment]:
        segments = []
        for number, turn in enumerate(turns, 1):
            last = number == len(turns)
            ends = self.ends_turns and turn.role == "assistant" and not last
            segments.append(Segment(self.before[turn.role], markup=True))
            segments.append(said(turn.content, turn.role, last, which, ends))
            if not last:
                segments.append(Segment(self.after[turn.role], markup=True))
        return segments


class Alpaca(Frames):
    """The prompt of Stanford Alpaca (github.com/tatsu-lab/stanford_alpaca), with its second form for rows that have an input.

    A chat goes on with further instructions and responses, an empty line between; a system turn stands for the opening lines.
    """

    TASK = "Below is an instruction that describes a task"
    DONE = "Write a response that appropriately completes the request.\n\n"
    ALONE = f"{TASK}. {DONE}"
    WITH_INPUT = f"{TASK}, paired with an input that provides further context. {DONE}"

    def __init__(self):
        before = {"system": "", "user": "### Instruction:\n", "assistant": "### Response:"}
        super().__init__(before, dict.fromkeys(before, "\n\n"), self.ALONE)

    def framed(self, example: Example, turns: str) -> list[Segment]:
        segments = super().framed(example, turns)
        if len(example.parts) != 2:
            return segments
        instruction, given = (Segment(part) for part in example.parts)
        markup = [Segment(text, markup=True) for text in (self.WITH_INPUT, self.before["user"], "\n\n### Input:\n")]
        opening, before, between = markup
        return [opening, before, instruction, between, given, *segments[3:]]


def _stripped(segments: list[Segment]) -> list[Segment]:
    """Strip the white space before all and before the last answer."""
    segments = [segment for segment in segments if segment.text]
    segments[0] = segments[0]._replace(text=segments[0].text.lstrip())
    segments[-2] = segments[-2]._replace(text=segments[-2].text.rstrip())
    return segments


def _human() -> Frames:
    """Give the frame of the comparison paper's code: https://github.com/xiatingyu/SFT-DataSelection-at-scale."""
    before = {"system": "", "user": "\nHuman: ", "assistant": "Assistant: "}
    return Frames(before, {"system": "", "user": "\n", "assistant": ""}, strip=True)


def _tulu() -> Frames:
    """Give the frame of open-instruct and LESS: the token that ends a text stands after every answer."""
    before = {role: f"<|{role}|>\n" for role in ("system", "user", "assistant")}
    return Frames(before, dict.fromkeys(before, "\n"), ends_turns=True)


def _plain() -> Frames:
    """Give the frame of nothing but an empty line between."""
    before = dict.fromkeys(("system", "user", "assistant"), "")
    return Frames(before, dict.fromkeys(before, "\n\n"))


FRAMES = {"alpaca": Alpaca, "human": _human, "plain": _plain, "tulu": _tulu}

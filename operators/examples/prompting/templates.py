"""How the turns of an example are framed as one text, by the standard forms of the field."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple, Protocol

from operators.examples.base import Example, NoExample, Turn

TEMPLATES = ("alpaca", "chat", "human", "plain", "tulu")


class Segment(NamedTuple):
    """A part of a framed text: markup of the template, or something said, which may be (a part of) an answer to learn.

    `opens` and `closes` mark what the template itself writes of an answer, before and after it. `ends` tells that the token that
    ends a text stands after this part.
    """

    text: str
    markup: bool = False
    answer: bool = False
    closes: bool = False
    ends: bool = False
    opens: bool = False


class Template(Protocol):
    """A way of framing. `turns` says which assistant turns are answers, where a turn does not say so itself: last or all.

    `framed` gives the whole example, up to the end of its last answer; `direct` its answers alone, each behind the template's
    label for an answer, as IFD's second pass reads them; `unplaced` names what the example has and the template no place for.
    None is asked for a plain text. All raise NoExample where the template cannot say it.
    """

    def framed(self, example: Example, turns: str) -> list[Segment]: ...

    def direct(self, example: Example, turns: str) -> list[Segment]: ...

    def unplaced(self, example: Example) -> set[str]: ...


UNPLACED = ("reasoning_content", "tool_calls", "tools")  # what Frames have no place for


class Frames:
    """A template that writes `before[role]` and `after[role]` around each turn, and nothing after the last answer.

    What a tool gave back is framed as a user's turn. `opening` stands before all, unless the example begins with a system
    turn of its own. With `ends_turns` every earlier answer too is ended by the token that ends a text. With `strip` the text
    begins and the last label ends without white space. It has no place for tools, calls of them in other form than words, and
    for what was thought.
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
        segments += self._between(example.turns, example.learned(turns))
        segments = up_to_the_last_answer([segment for segment in segments if segment.text])
        return _stripped(segments) if self.strip and segments else segments

    def direct(self, example: Example, turns: str) -> list[Segment]:
        answers = [turn for turn, learned in zip(example.turns, example.learned(turns), strict=True) if learned]
        segments = self._between(answers, [True] * len(answers))
        return [segment for segment in segments if segment.text]

    def unplaced(self, example: Example) -> set[str]:
        return example.carried.intersection(UNPLACED)

    def _between(self, turns: Sequence[Turn], learned: Sequence[bool]) -> list[Segment]:
        said = enumerate(zip(turns, learned, strict=True), 1)
        each = (self._turn(turn, learns, number == len(turns)) for number, (turn, learns) in said)
        return [segment for segments in each for segment in segments]

    def _turn(self, turn: Turn, learns: bool, last: bool) -> list[Segment]:
        if turn.calls and not turn.content.strip():
            raise NoExample(
                "tool_calls",
                f"{turn.place} calls tools in a form that is no text, and this template has no place for it: a model's "
                "own chat template may have one",
            )
        ends = self.ends_turns and turn.role == "assistant" and not last
        said = [Segment(self.before[turn.role], markup=True), Segment(turn.content, answer=learns, ends=ends)]
        return said if last else [*said, Segment(self.after[turn.role], markup=True)]


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
        if len(example.parts) != 2 or not example.learned(turns)[-1]:
            return segments
        *before, question, after, label, answer = segments
        instruction, given = (question._replace(text=part) for part in example.parts)
        if example.turns[0].role != "system":
            before[0] = Segment(self.WITH_INPUT, markup=True)
        return [*before, instruction, Segment("\n\n### Input:\n", markup=True), given, after, label, answer]


def up_to_the_last_answer(segments: list[Segment]) -> list[Segment]:
    """Cut off what follows the last answer, but for the template's end of it."""
    last = max((place for place, segment in enumerate(segments) if segment.answer or segment.closes), default=-1)
    return segments[: last + 1]


def _stripped(segments: list[Segment]) -> list[Segment]:
    """Strip the white space before all and before the last answer."""
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


class ReleasedTulu(Frames):
    """Tulu's frame to the letter of the code of LESS and open-instruct: white space around what is said is left out, and after
    the token that ends an answer stands a line end, which is learned with it.
    """

    def __init__(self):
        super().__init__({role: f"<|{role}|>\n" for role in ("system", "user", "assistant")}, {"user": "\n"})

    def _turn(self, turn: Turn, learns: bool, last: bool) -> list[Segment]:
        before, said = super()._turn(replace(turn, content=turn.content.strip()), learns, last=True)
        ends = turn.role == "assistant"
        return [before, said._replace(ends=ends), Segment("\n", markup=True, closes=learns)]


def _plain() -> Frames:
    """Give the frame of nothing but an empty line between."""
    before = dict.fromkeys(("system", "user", "assistant"), "")
    return Frames(before, dict.fromkeys(before, "\n\n"))


FRAMES = {"alpaca": Alpaca, "human": _human, "plain": _plain, "tulu": _tulu}
RELEASED = FRAMES | {"tulu": ReleasedTulu}  # as released code has them, where that differs

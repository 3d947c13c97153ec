"""Records of a training set as examples: what is asked and what is answered, or plain text.

A record is one JSON object. Its form is seen from its keys: chat messages (OpenAI's `messages`, ShareGPT's `conversations`),
an instruction with input and output (Alpaca), or a text.
"""

from dataclasses import dataclass

from operators.errors import BadRequest
from operators.settings import setting

ROLES = {
    **dict.fromkeys(("user", "human", "prompter"), "user"),
    **dict.fromkeys(("assistant", "gpt", "chatgpt", "bing", "bard", "model", "function_call"), "assistant"),
    **dict.fromkeys(("system", "developer"), "system"),
    **dict.fromkeys(("tool", "function", "observation"), "tool"),
}
TURNS = ("last", "all")
STAGE = "example"  # where a record leaves that is none


@dataclass
class ExampleConfig:
    """How the fields of a record are called, and which of its turns count as answers."""

    messages_column: str = setting(
        "messages", "column with the turns of a chat; `conversations` (ShareGPT) is known too"
    )
    prompt_columns: list[str] = setting(
        ["instruction", "input"], "columns that make the question, an empty line between them; the first must be there"
    )
    answer_column: str = setting("output", "column with the answer to them")
    plain_column: str = setting("text", "column of rows that are neither: plain text")
    turns: str = setting("last", "which assistant turns of a chat are answers: last or all")

    def __post_init__(self):
        if self.turns not in TURNS:
            raise BadRequest(f"examples.turns is {self.turns!r}. It may be {' or '.join(TURNS)}.")
        if not self.prompt_columns:
            raise BadRequest("examples.prompt_columns is empty. Name the column with the question.")


@dataclass(frozen=True)
class Turn:
    """What one side said: `role` is user, assistant, system or tool (what a tool gave back)."""

    role: str
    content: str


@dataclass(frozen=True)
class Example:
    """A conversation that ends with the assistant's turn, or (without turns) a plain `text`.

    `parts` are the columns that its question was joined from, where columns made it: a template may frame each.
    """

    turns: tuple[Turn, ...] = ()
    text: str = ""
    parts: tuple[str, ...] = ()

    @property
    def answer(self) -> str:
        """Give the last answer; the text where there is nothing else."""
        return self.turns[-1].content if self.turns else self.text

    @property
    def spoken(self) -> str:
        """Give all that is said, a line end between turns: what is measured where only the text counts."""
        return "\n".join(turn.content for turn in self.turns) if self.turns else self.text


class NoExample(ValueError):
    """A record holds nothing to learn from: `reason` is one word, `detail` says more."""

    def __init__(self, reason: str, detail: str):
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail = reason, detail


def example_of(record: dict, config: ExampleConfig) -> Example:
    """Read a record.

    Raises NoExample: unknown_form, bad_turns, tool_calls, not_text, invalid_utf8, no_answer, no_question, empty.
    """
    for column in dict.fromkeys((config.messages_column, "messages", "conversations")):
        if record.get(column) is not None:
            return _from_turns(record[column], column)
    if record.get(config.prompt_columns[0]) is not None:
        return _from_columns(record, config)
    if record.get(config.plain_column) is not None:
        text = _text(record[config.plain_column], config.plain_column)
        if not text.strip():
            raise NoExample("empty", f"{config.plain_column} holds no text")
        return Example(text=text)
    wanted = f"{config.messages_column}, {config.prompt_columns[0]} or {config.plain_column}"
    raise NoExample("unknown_form", f"no column {wanted}; the columns are: {', '.join(map(str, record))}")


def _from_columns(record: dict, config: ExampleConfig) -> Example:
    parts = [_text(record.get(name), name) for name in config.prompt_columns]
    answer = _text(record.get(config.answer_column), config.answer_column)
    question = "\n\n".join(part for part in parts if part)
    if not answer.strip():
        raise NoExample("no_answer", f"{config.answer_column} is empty or missing")
    if not question.strip():
        raise NoExample("no_question", f"{' and '.join(config.prompt_columns)} hold no text")
    return Example((Turn("user", question), Turn("assistant", answer)), parts=tuple(part for part in parts if part))


def _from_turns(turns: object, column: str) -> Example:
    if not isinstance(turns, list) or not all(isinstance(turn, dict) for turn in turns):
        raise NoExample("bad_turns", f"{column} is no list of turns")
    # A system turn that says nothing is none: a template's own opening stands then.
    read = [turn for turn in (_turn(each, column) for each in turns) if turn.role != "system" or turn.content.strip()]
    while read and read[-1].role != "assistant":
        read.pop()  # what nobody answered
    if not any(turn.role == "assistant" and turn.content.strip() for turn in read[-1:]):
        raise NoExample("no_answer", f"{column} ends without an answer of the assistant")
    if not any(turn.role != "assistant" and turn.content.strip() for turn in read):
        raise NoExample("no_question", f"{column} holds no text that the assistant answers")
    return Example(tuple(read))


def _turn(turn: dict, column: str) -> Turn:
    role, content = turn.get("role", turn.get("from")), turn.get("content", turn.get("value"))
    known = ROLES.get(role.lower()) if isinstance(role, str) else None
    if known is None:
        raise NoExample("bad_turns", f"{column} has a turn of {role!r}; known are {', '.join(ROLES)}")
    if turn.get("tool_calls"):
        raise NoExample("tool_calls", f"{column} calls tools in a form that is no text")
    return Turn(known, _joined(content, column) if isinstance(content, list) else _text(content, column))


def _joined(parts: list, column: str) -> str:
    """Join the parts of what a turn says, the other form that OpenAI's messages have."""
    texts = [part.get("text") if isinstance(part, dict) else part for part in parts]
    if not all(isinstance(text, str) for text in texts):
        raise NoExample("not_text", f"{column} has a turn with a part that is no text")
    return _text("".join(texts), column)


def _text(value: object, name: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise NoExample("not_text", f"{name} holds {type(value).__name__}, not text")
    try:
        value.isascii() or value.encode()
    except UnicodeEncodeError as error:
        raise NoExample("invalid_utf8", f"{name} holds half a surrogate pair, at character {error.start}") from error
    return value

"""Records of a training set as examples: what is asked and what is answered, or plain text.

A record is one JSON object. Its form is seen from its keys: chat messages (OpenAI's `messages`, ShareGPT's `conversations`),
an instruction with input and output (Alpaca; with rounds before it, LLaMA-Factory), a prompt and its completion (TRL, texts or
turns), or a text.
"""

from dataclasses import dataclass, replace

from operators.errors import BadRequest
from operators.examples.turns import (
    NoExample,
    Turn,
    first,
    json_of,
    one_of,
    plain,
    read_turns,
    said_in,
    text_of,
    without_nan,
    without_nulls,
)
from operators.settings import setting

TURNS = ("last", "all")
STAGE = "example"  # where a record leaves that is none
PROMPT, COMPLETION = "prompt", "completion"  # columns of TRL
PARTS = "parts"  # column of chosen rows, whose turns are messages: what the last question was joined from
BETWEEN = "\n\n"  # parts of a question


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
    system_columns: list[str] = setting(
        ["system", "system_prompt"],
        "columns of which the first with text is the system turn, unless the turns have one",
    )
    history_column: str | None = setting(
        "history", "column with the rounds before the question, pairs of question and answer; null: none"
    )
    tools_column: str | None = setting(
        "tools", "column with the tools that may be called: a list of definitions, or its JSON; null: none"
    )
    turns: str = setting(
        "last",
        "which assistant turns of a chat are answers: last or all; a turn's own weight, train, trainable or loss goes before",
    )

    def __post_init__(self):
        if self.turns not in TURNS:
            raise BadRequest(f"examples.turns is {self.turns!r}. It may be {' or '.join(TURNS)}.")
        if not self.prompt_columns:
            raise BadRequest("examples.prompt_columns is empty. Name the column with the question.")


@dataclass(frozen=True)
class Example:
    """A conversation that ends with the assistant's turn, or (without turns) a plain `text`.

    `parts` are the columns that its question was joined from, where columns made it: a template may frame each. `tools` are the
    definitions of tools that the assistant may call (JSON, nothing where there are none). `unused` names what its record has
    beside that and no example has a place for.
    """

    turns: tuple[Turn, ...] = ()
    text: str = ""
    parts: tuple[str, ...] = ()
    tools: str = ""
    unused: tuple[str, ...] = ()

    @property
    def answer(self) -> str:
        """Give the last answer; the text where there is nothing else."""
        return self.turns[-1].content if self.turns else self.text

    @property
    def spoken(self) -> str:
        """Give all that is said, a line end between turns: what is measured where only the text counts."""
        return "\n".join(turn.content for turn in self.turns) if self.turns else self.text

    @property
    def carried(self) -> set[str]:
        """Name what it has beside what is said by whom, as records call it."""
        fields = {"reasoning_content": "reasoning", "tool_calls": "calls", "name": "name", "tool_call_id": "call_id"}
        found = {name for name, field in fields.items() if any(getattr(turn, field) for turn in self.turns)}
        found |= {"weight"} if any(turn.learned is not None for turn in self.turns) else set()
        return found | ({"tools"} if self.tools else set())

    def learned(self, turns: str) -> list[bool]:
        """Tell which turns are answers to learn, where `turns` says which are unless a turn itself does: last or all."""
        return [
            turn.role == "assistant"
            and (turn.learned if turn.learned is not None else turns == "all" or number == len(self.turns))
            for number, turn in enumerate(self.turns, 1)
        ]


def example_of(record: dict, config: ExampleConfig) -> Example:
    """Read a record. A NaN in it is null, wherever it stands.

    Raises NoExample: unknown_form, bad_turns, tool_calls, not_text, invalid_utf8, no_answer, no_question, empty.
    """
    record, unused = without_nan(record), set()
    example = _told(record, config, unused)
    example = replace(_with_system(example, record, config, unused), tools=_tools(record, config, unused))
    if not example.turns:
        beside = {"history": config.history_column and record.get(config.history_column), "tools": example.tools}
        return replace(example, tools="", unused=_named(unused | {kind for kind, value in beside.items() if value}))
    if not any(example.learned(config.turns)):
        raise NoExample("no_answer", "its answers are marked as not to be learned (weight 0, train false)")
    return replace(example, unused=_named(unused))


def _named(unused: set[str]) -> tuple[str, ...]:
    return tuple(sorted(unused))


def _told(record: dict, config: ExampleConfig, unused: set[str]) -> Example:
    """Read the turns of a record, or its text."""
    for column in dict.fromkeys((config.messages_column, "messages", "conversations")):
        if record.get(column) is not None:
            if config.history_column and record.get(config.history_column):
                unused.add("history")
            told = _conversation(read_turns(record[column], column, unused), column)
            return replace(told, parts=_parts(record.get(PARTS), told.turns))
    if record.get(config.prompt_columns[0]) is not None:
        return _from_columns(record, config, unused)
    if record.get(PROMPT) is not None and COMPLETION in record:
        return _from_completion(record, config, unused)
    if record.get(config.plain_column) is not None:
        text = text_of(record[config.plain_column], config.plain_column)
        if not text.strip():
            raise NoExample("empty", f"{config.plain_column} holds no text")
        return Example(text=text)
    wanted = f"{config.messages_column}, {config.prompt_columns[0]} or {config.plain_column}"
    raise NoExample("unknown_form", f"no column {wanted}; the columns are: {', '.join(map(str, record))}")


def _from_columns(record: dict, config: ExampleConfig, unused: set[str]) -> Example:
    parts = [text_of(record.get(name), name) for name in config.prompt_columns]
    answer = text_of(record.get(config.answer_column), config.answer_column)
    question = BETWEEN.join(part for part in parts if part)
    if not answer.strip():
        raise NoExample("no_answer", f"{config.answer_column} is empty or missing")
    if not question.strip():
        raise NoExample("no_question", f"{' and '.join(config.prompt_columns)} hold no text")
    columns = " and ".join(name for name, part in zip(config.prompt_columns, parts, strict=True) if part)
    asked = (Turn("user", question, place=columns), Turn("assistant", answer, place=config.answer_column))
    return Example((*_history(record, config, unused), *asked), parts=tuple(part for part in parts if part))


def _parts(value: object, turns: tuple[Turn, ...]) -> tuple[str, ...]:
    """Give the parts that the last question was joined from; a column of that name that says something else is none of ours."""
    if not isinstance(value, list) or not all(isinstance(part, str) for part in value):
        return ()
    asked = turns[-2:-1]
    return tuple(value) if asked and asked[0] == Turn("user", BETWEEN.join(value)) else ()


def _from_completion(record: dict, config: ExampleConfig, unused: set[str]) -> Example:
    """Read a prompt and its completion: the answers of the completion are learned, all of them, and none of the prompt."""
    before, after = (_side(record[name], name, unused) for name in (PROMPT, COMPLETION))
    told = [replace(turn, learned=False) if turn.role == "assistant" else turn for turn in before]
    several = sum(turn.role == "assistant" for turn in after) > 1
    for turn in after:
        learned = True if several and turn.role == "assistant" and turn.learned is None else turn.learned
        told.append(replace(turn, learned=learned))
    return _conversation([*_history(record, config, unused), *told], f"{PROMPT} and {COMPLETION}")


def _side(value: object, column: str, unused: set[str]) -> list[Turn]:
    """Read one side of a prompt with its completion: a text or turns."""
    if isinstance(value, list | dict):
        return read_turns(value, column, unused)
    return [Turn("user" if column == PROMPT else "assistant", text_of(value, column), place=column)]


def _history(record: dict, config: ExampleConfig, unused: set[str]) -> list[Turn]:
    """Read the rounds before the question: pairs of texts, or turns. Raises NoExample for something else."""
    column = config.history_column
    rounds = plain(record.get(column)) if column else None
    if not rounds:
        return []
    if isinstance(rounds, list) and all(isinstance(each, list) and len(each) == 2 for each in rounds):
        return [
            Turn(role, text_of(said, column), place=f"round {number} of {column}")
            for number, each in enumerate(rounds, 1)
            for role, said in zip(("user", "assistant"), each, strict=True)
        ]
    try:
        return read_turns(rounds, column, unused)
    except NoExample as refusal:
        raise NoExample(
            refusal.reason,
            f"{column} has no rounds of question and answer; examples.history_column=null leaves it alone",
        ) from refusal


def _with_system(example: Example, record: dict, config: ExampleConfig, unused: set[str]) -> Example:
    """Put the system turn that a column has before the others."""
    own = [turn.content for turn in example.turns if turn.role == "system"][:1]
    told = {column: _system(record.get(column), column, unused) for column in config.system_columns}
    text = one_of([*own, *told.values()], "system", unused)
    if own or not text:
        return example
    if not example.turns:
        unused.add("system")
        return example
    column = next(column for column, each in told.items() if each == text)
    return replace(example, turns=(Turn("system", text, place=column), *example.turns))


def _system(value: object, column: str, unused: set[str]) -> str:
    """Read a system column: a text, the parts of one, or an object that says it. Something else has no use."""
    value = without_nulls(value)
    content = first(value, ("content", "value", "text")) if isinstance(value, dict) else value
    try:
        return said_in(value if content is None and value else content, column)[0]
    except NoExample as refusal:
        if refusal.reason != "not_text":
            raise
        unused.add("system")
        return ""


def _tools(record: dict, config: ExampleConfig, unused: set[str]) -> str:
    tools = plain(record.get(config.tools_column)) if config.tools_column else None
    if not tools:
        return ""
    if not isinstance(tools, list) or not all(isinstance(tool, dict) for tool in tools):
        unused.add("tools")
        return ""
    return json_of(tools, config.tools_column)


def _conversation(turns: list[Turn], column: str) -> Example:
    # A system turn that says nothing is none: a template's own opening stands then.
    read = [turn for turn in turns if turn.role != "system" or turn.content.strip()]
    while read and read[-1].role != "assistant":
        read.pop()  # what nobody answered
    if not any(turn.says for turn in read[-1:]):
        raise NoExample("no_answer", f"{column} ends without an answer of the assistant")
    if not any(turn.role != "assistant" and turn.content.strip() for turn in read):
        raise NoExample("no_question", f"{column} holds no text that the assistant answers")
    return Example(tuple(read))

"""Repair what a chat model leaves around a rewrite, and mark the rewrites that are none.

Source: WRAP, arXiv:2401.16380, appendix B, and the rules of its successors.
"""

from dataclasses import dataclass, replace
from functools import lru_cache, partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from operators.errors import BadRequest
from operators.rewrite.prompts import Parsed, Prompt
from operators.rewrite.rules.base import Repair, Row, Rule, Text
from operators.rewrite.rules.copied import copied
from operators.rewrite.rules.instruction_leak import leaked
from operators.rewrite.rules.introduction import cut_introduction
from operators.rewrite.rules.language import Language
from operators.rewrite.rules.length import empty, out_of_proportion, too_short, truncated
from operators.rewrite.rules.refusal import refused
from operators.rewrite.rules.repetition import repetitive
from operators.rewrite.rules.template_markers import marked
from operators.rewrite.rules.thinking import cut_thinking
from operators.rewrite.rules.wrapping import unwrap
from operators.settings import setting
from operators.table import reject, rewrites, spread, with_columns

STAGE = "clean"
READS = ["id", "style", "text", "source_text", "source_tokens", "completion_tokens", "finish_reason"]
REPAIRS: dict[str, Repair] = {
    "thinking_cut": cut_thinking,
    "intro_cut": cut_introduction,
    "quotes_cut": unwrap,
}
DROPS = (  # in the order in which they are asked; the first that objects names the reason
    "truncated",
    "empty",
    "refusal",
    "prefix_missing",
    "unparsable",
    "template_markers",
    "instruction_leak",
    "too_short",
    "length_ratio",
    "repetition",
    "copy",
    "language_changed",
)
PRESETS: dict[str | None, set[str]] = {
    None: set(),
    "wrap": {"intro_cut", "instruction_leak", "empty"},
    "strict": {*REPAIRS, *DROPS},
}


@dataclass
class CleanConfig:
    """Which rules are on. A rule that is null follows the preset."""

    preset: str | None = setting(
        "strict",
        "rules that are on: strict (all; nothing is lost, a dropped row keeps its text and its reason in rejected/), "
        "wrap (those of the paper: intro_cut, instruction_leak, empty) or null (none)",
    )
    thinking_cut: bool | None = setting(None, "cut reasoning blocks and turn markers around the answer")
    intro_cut: bool | None = setting(None, 'cut an introduction ("Here is a paraphrase:") in the first segment')
    quotes_cut: bool | None = setting(None, "take away quotes or a code fence around the whole answer")
    truncated: bool | None = setting(None, "drop an answer that reached its cap of tokens (finish_reason length)")
    empty: bool | None = setting(None, "drop an answer without a letter or digit")
    refusal: bool | None = setting(None, "drop an answer that declines the task or asks for the text")
    prefix_missing: bool | None = setting(None, "drop an answer without its prompt's opening line or markers")
    unparsable: bool | None = setting(None, "drop an answer that is not in the form its prompt asks for")
    template_markers: bool | None = setting(None, "drop an answer with signs of a chat template, such as <|im_start|>")
    instruction_leak: bool | None = setting(None, "drop an answer that introduces itself or repeats the instruction")
    too_short: bool | None = setting(None, "drop a text with fewer tokens than its prompt's min_completion_tokens")
    length_ratio: bool | None = setting(
        None, "drop an answer too short or long against the source, by its prompt's bounds"
    )
    repetition: bool | None = setting(None, "drop an answer that repeats itself")
    copy: bool | None = setting(None, "drop an answer that is nearly the source again")
    language_changed: bool | None = setting(None, "drop an answer in another language than the source")
    max_repeated: float = setting(
        0.2, "repetition: share of five-word stretches that stood in the answer before, 0 to 1"
    )
    max_copied: float = setting(0.85, "copy: share of five-word stretches that are the source's, 0 to 1")
    language_confidence: float = setting(0.7, "language_changed: least confidence in each of both languages, 0 to 1")

    def __post_init__(self):
        if self.preset not in PRESETS:
            raise BadRequest(f"clean.preset is {self.preset!r}. There are: strict, wrap, null.")
        for name in ("max_repeated", "max_copied", "language_confidence"):
            if not 0 <= getattr(self, name) <= 1:
                raise BadRequest(f"clean.{name} is a share from 0 to 1, got {getattr(self, name)}. For 60% write 0.6.")

    def on(self, rule: str) -> bool:
        """Tell whether a rule is on: as said, else as the preset says."""
        said = getattr(self, rule)
        return rule in PRESETS[self.preset] if said is None else said


class Clean:
    """Repair and judge every living rewrite.

    Reads REQUESTS with COMPLETIONS; `prompts` maps each style to its prompt. Puts the repaired text, in the form that
    the prompt asks for, in the place of `text`, and adds `repaired`: names of the repairs, comma-joined, null where
    there was none. A rewrite that breaks a rule leaves with stage "clean", the rule's name as reason and what was
    measured in `detail`. The fixed opening line is cut and the form made whatever rules are on. Other rows pass
    untouched.
    """

    def __init__(self, config: CleanConfig, prompts: dict[str, Prompt]):
        self.prompts = prompts
        self.repairs = [(name, repair) for name, repair in REPAIRS.items() if config.on(name)]
        self.unwraps = config.on("quotes_cut")
        rules = _rules(config)
        self.drops = [(name, rules[name]) for name in DROPS if config.on(name)]
        self.source = lru_cache(maxsize=16)(Text)  # the styles of a chunk stand beside each other

    def __call__(self, table: pa.Table) -> pa.Table:
        looked_at = rewrites(table)
        texts, repaired, reasons = [], [], {}
        rows = table.select(READS).filter(pa.array(looked_at)).to_pylist()
        for index, row in zip(np.flatnonzero(looked_at), rows, strict=True):
            text, repairs, verdict = self._clean(row)
            texts.append(text)
            repaired.append(",".join(repairs) or None)
            if verdict:
                reasons[int(index)] = verdict
        text = pc.replace_with_mask(table["text"], pa.array(looked_at), pa.array(texts, table["text"].type))
        table = with_columns(table, text=text, repaired=spread(repaired, looked_at, pa.string()))
        return reject(table, STAGE, reasons)

    def _clean(self, row: dict) -> tuple[str, list[str], tuple[str, str] | None]:
        """Give a row's text, the repairs done, and (reason, detail) if it must leave."""
        prompt, source, answer = self.prompts[row["style"]], row["source_text"], row["text"] or ""
        parsed, repairs = self._repair(answer, source, prompt, row)
        judged = Row(
            written=Text(parsed.written),
            source=self.source(source),
            prompt=prompt,
            tokens=_tokens(parsed.text, answer, row),
            finish_reason=row["finish_reason"],
            failure=(parsed.reason, parsed.detail),
        )
        for name, rule in self.drops:
            detail = rule(judged)
            if detail is not None:
                return parsed.text, repairs, (name, detail)
        return parsed.text, repairs, None

    def _repair(self, answer: str, source: str, prompt: Prompt, row: dict) -> tuple[Parsed, list[str]]:
        done = []
        for name, repair in self.repairs:
            if name == "intro_cut" and prompt.required_prefix:
                continue  # its opening line is an introduction that we asked for
            answer = _mend(answer, source, name, repair, done)
        parsed = prompt.parse(answer, source, row["source_tokens"], row["id"])
        if prompt.required_prefix and parsed.reason != "prefix_missing":
            done.append("prefix_cut")
            if self.unwraps and parsed.text == parsed.written:  # quotes may stand behind the opening line, too
                text = _mend(parsed.text, source, "quotes_cut", unwrap, done)
                parsed = replace(parsed, text=text, written=text)
        return parsed, done


def _mend(answer: str, source: str, name: str, repair: Repair, done: list[str]) -> str:
    mended = repair(answer, source)
    if mended.strip() != answer.strip() and name not in done:
        done.append(name)
    return mended


def _rules(config: CleanConfig) -> dict[str, Rule]:
    rules = {
        "truncated": truncated,
        "empty": empty,
        "refusal": refused,
        "prefix_missing": partial(_failed, "prefix_missing"),
        "unparsable": partial(_failed, "unparsable"),
        "template_markers": marked,
        "instruction_leak": leaked,
        "too_short": too_short,
        "length_ratio": out_of_proportion,
        "repetition": partial(repetitive, most=config.max_repeated),
        "copy": partial(copied, most=config.max_copied),
    }
    if config.on("language_changed"):
        rules["language_changed"] = Language(config.language_confidence).changed
    return rules


def _failed(name: str, row: Row) -> str | None:
    """The prompt's own check of its answer."""
    reason, detail = row.failure
    return detail if reason == name else None


def _tokens(text: str, answer: str, row: dict) -> int:
    """Estimate the tokens of a text by those of the answer it came from, else by those of the source."""
    counted, known = row["completion_tokens"], answer
    if not counted:
        counted, known = row["source_tokens"], row["source_text"]
    return round(len(text) * counted / max(1, len(known)))

"""Repair what a chat model leaves around a rewrite, and mark the rewrites that are none.

Source: WRAP, arXiv:2401.16380, appendix B, and the rules of its successors.
"""

from collections.abc import Iterable
from dataclasses import dataclass, make_dataclass, replace
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from operators.errors import BadRequest
from operators.rewrite.prompts import Parsed, Prompt
from operators.rewrite.rules import DROPS, REPAIRS, RULES
from operators.rewrite.rules.base import AnalysedText, JudgedRewrite
from operators.settings import setting
from operators.table import reject, rewrites, spread, with_columns

STAGE = "clean"
READS = ["id", "style", "text", "source_text", "source_tokens", "completion_tokens", "finish_reason"]
PRESETS = ("strict", "wrap")
OPTIONS = {name: option for rule in RULES.values() for name, option in rule.options.items()}


@dataclass
class CleanPreset:
    """Which rules are on. A rule that is null follows the preset."""

    preset: str | None = setting(
        "strict",
        "rules that are on: strict (all; nothing is lost, a dropped row keeps its text and its reason in rejected/), "
        "wrap (those of the paper: intro_cut, instruction_leak, empty) or null (none)",
    )

    def __post_init__(self):
        if self.preset is not None and self.preset not in PRESETS:
            raise BadRequest(f"clean.preset is {self.preset!r}. There are: {', '.join(PRESETS)}, null.")
        for name, option in OPTIONS.items():
            option.check(name, getattr(self, name))

    def on(self, rule: str) -> bool:
        """Tell whether a rule is on: as said, else as the preset says."""
        said = getattr(self, rule)
        return self.preset in RULES[rule].presets if said is None else said


# A field a rule, and one an option.
CleanConfig = make_dataclass(
    "CleanConfig",
    [
        *((name, bool | None, setting(None, rule.doc)) for name, rule in RULES.items()),
        *((name, option.type, setting(option.default, option.doc)) for name, option in OPTIONS.items()),
    ],
    bases=(CleanPreset,),
    namespace={"__module__": __name__, "__doc__": CleanPreset.__doc__},
)


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
        self.repairs = {name: repair.make(config) for name, repair in REPAIRS.items() if config.on(name)}
        self.drops = [(name, drop.make(config)) for name, drop in DROPS.items() if config.on(name)]
        self.source = lru_cache(maxsize=16)(AnalysedText)  # the styles of a chunk stand beside each other

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

    def mended(self, row: dict) -> str:
        """Give the text that a call leaves in a row."""
        return self._repair(row["text"] or "", row["source_text"], self.prompts[row["style"]], row)[0].text

    def _clean(self, row: dict) -> tuple[str, list[str], tuple[str, str] | None]:
        """Give a row's text, the repairs done, and (reason, detail) if it must leave."""
        prompt, source, answer = self.prompts[row["style"]], row["source_text"], row["text"] or ""
        parsed, repairs = self._repair(answer, source, prompt, row)
        judged = JudgedRewrite(
            written=AnalysedText(parsed.written),
            answer=AnalysedText(answer),
            source=self.source(source),
            prompt=prompt,
            tokens=_tokens(parsed.text, answer, row),
            finish_reason=row["finish_reason"],
            failure=(parsed.reason, parsed.detail),
        )
        for name, judge in self.drops:
            detail = judge(judged)
            if detail is not None:
                return parsed.text, repairs, (name, detail)
        return parsed.text, repairs, None

    def _repair(self, answer: str, source: str, prompt: Prompt, row: dict) -> tuple[Parsed, list[str]]:
        done = []
        fixed = bool(prompt.required_prefix)
        first = [name for name in self.repairs if not (fixed and REPAIRS[name].spares_opening)]
        answer = self._mended(answer, source, first, done)
        parsed = prompt.parse(answer, source, row["source_tokens"], row["id"])
        if fixed and parsed.reason != "prefix_missing":
            done.append("prefix_cut")
            if parsed.text == parsed.written:  # quotes may stand behind the opening line, too
                behind = [name for name in self.repairs if REPAIRS[name].behind_opening]
                text = self._mended(parsed.text, source, behind, done)
                parsed = replace(parsed, text=text, written=text)
        return parsed, done

    def _mended(self, answer: str, source: str, repairs: Iterable[str], done: list[str]) -> str:
        """Do some repairs, and note those that changed something."""
        for name in repairs:
            mended = self.repairs[name](answer, source)
            if mended.strip() != answer.strip() and name not in done:
                done.append(name)
            answer = mended
        return answer


def _tokens(text: str, answer: str, row: dict) -> int:
    """Estimate the tokens of a text by those of the answer it came from, else by those of the source."""
    counted, known = row["completion_tokens"], answer
    if not counted:
        counted, known = row["source_tokens"], row["source_text"]
    return round(len(text) * counted / max(1, len(known)))

"""How likely a language model finds the answers of a pool, and what it makes of the rows.

Shapes: N rows, C contexts that are read of them, H hidden units.
"""

import os
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from operators.examples.base import ExampleConfig
from operators.examples.prompting import Prompting, PromptingConfig
from operators.select.measure.base import EMBEDDING, FORWARD_FAILED, ModelConfig, NotFinite, features, vectors
from operators.select.measure.lengths import COUNTS
from operators.select.measure.reading.answers import ANSWER_LOSS, DIRECT_LOSS, Answers, ReadAnswers
from operators.select.measure.reading.line import lined_up
from operators.select.measure.reading.released import COLUMNS as RELEASED
from operators.select.measure.reading.slabs import prepared
from operators.settings import setting

EMBEDDINGS = (EMBEDDING, "weighted_embedding")
COLUMNS = (*COUNTS, ANSWER_LOSS, DIRECT_LOSS, *RELEASED, *EMBEDDINGS)


@dataclass
class LikelihoodConfig:
    """What is measured beside the losses of the answers."""

    embeddings: bool = setting(
        False, "also save the mean of the last hidden states over all tokens and EOS, and the position-weighted mean"
    )
    released: bool = setting(
        False, "also save the losses as the comparison paper's code has them (variant as_released)"
    )


class Likelihood:
    """Measure mean losses of answers in nats, with their prompt and without the question, in one pass.

    Adds prompt_tokens, answer_tokens, tokens (int32, as the model reads them); answer_loss = s(A|Q) and direct_loss = s(A)
    (float32, means over the same answer tokens; direct_loss is null for plain text, whose answer_loss is over all its tokens);
    with `embeddings` also embedding and weighted_embedding (float32 lists of H: mean of the last hidden states after the final
    norm over prompt, answer and EOS, where the model has a position for it, and the mean with weights 1, 2, 3, ...); with
    `released` also released_cross_entropy, released_answer_loss and released_direct_loss. Raises BadRequest for a model that
    cannot measure, and NotFinite, which names the rows, where it gives no number. Sources: IFD, arXiv:2308.12032; DiverseEvol,
    arXiv:2311.08182; RDS+, arXiv:2503.01807.
    """

    def __init__(
        self, config: LikelihoodConfig, model: ModelConfig, prompting: PromptingConfig, examples: ExampleConfig
    ):
        # Threads that spin while they wait lose most of their throughput where another process wants a core.
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        from operators.select.measure.reading.local_model import LocalModel

        self.config, self.model = config, LocalModel(model)
        prompts = Prompting(prompting, model.path, examples.turns)
        self.model.check(prompts.tokenizer)
        self.read = ReadAnswers(prompts, examples, self.model.context, config.embeddings, config.released)
        self.losses = [ANSWER_LOSS, DIRECT_LOSS, *(RELEASED if config.released else ())]

    def __call__(self, rows: pa.Table) -> pa.Table:
        measured = _Measured(len(rows), self.losses, self.model.hidden_units if self.config.embeddings else 0)
        for numbers, answers in prepared(rows, self.model.batch_tokens, self.read):
            measured.note(numbers, answers)
            if answers.contexts:
                self._measure(rows, numbers, answers, measured)
        return features(rows, measured.columns(), measured.reasons)

    def _measure(self, rows: pa.Table, numbers: np.ndarray, answers: Answers, measured: "_Measured") -> None:
        whole = frozenset([ANSWER_LOSS] if self.config.embeddings else [])
        line = lined_up(answers.contexts, whole)
        rows_C = numbers[[context.row for context in answers.contexts]]
        kinds_C = np.array([context.kind for context in answers.contexts])
        losses_S, vectors_C2H, failed = self.model.losses(line, np.isin(kinds_C, list(whole)) if whole else None)
        read_C = np.ones(len(kinds_C), dtype=bool)
        read_C[failed] = False
        means_C = line.means(losses_S)
        for kind in self.losses:
            of_kind = (kinds_C == kind) & read_C
            self._check(rows, kind, rows_C[of_kind], means_C[of_kind])
            measured.losses[kind][rows_C[of_kind]] = means_C[of_kind]
        if vectors_C2H is not None:
            of_kind = (kinds_C == ANSWER_LOSS) & read_C
            self._check(rows, EMBEDDINGS[0], rows_C[of_kind], vectors_C2H[of_kind])
            measured.vectors_N2H[rows_C[of_kind]] = vectors_C2H[of_kind]
            measured.pooled_N[rows_C[of_kind]] = True
        for row in rows_C[failed].tolist():
            measured.reasons[row] = FORWARD_FAILED

    def _check(self, rows: pa.Table, column: str, numbers: np.ndarray, values: np.ndarray) -> None:
        bad = ~np.isfinite(values).all(axis=tuple(range(1, values.ndim)))
        if bad.any():
            ids = [rows["id"][int(number)].as_py() for number in np.sort(numbers[bad])]
            raise NotFinite(self.model.name, column, ids)


class _Measured:
    """The features of N rows while they are gathered; NaN where there is none (yet)."""

    def __init__(self, rows: int, losses: list[str], hidden_units: int):
        self.losses = {name: np.full(rows, np.nan, np.float32) for name in losses}
        self.tokens_N2, self.known_N = np.zeros((rows, 2), np.int32), np.zeros(rows, bool)
        self.vectors_N2H = np.zeros((rows, 2, hidden_units), np.float32) if hidden_units else None
        self.pooled_N = np.zeros(rows, bool)
        self.reasons: list[str | None] = [None] * rows

    def note(self, numbers: np.ndarray, answers: Answers) -> None:
        self.tokens_N2[numbers], self.known_N[numbers] = answers.tokens_N2, answers.known_N
        for number, reason in zip(numbers.tolist(), answers.reasons, strict=True):
            self.reasons[number] = reason

    def columns(self) -> dict[str, pa.Array]:
        counts = (*self.tokens_N2.T, self.tokens_N2.sum(axis=1, dtype=np.int32))
        columns = {name: pa.array(each, mask=~self.known_N) for name, each in zip(COUNTS, counts, strict=True)}
        columns |= {name: pa.array(each, mask=np.isnan(each)) for name, each in self.losses.items()}
        if self.vectors_N2H is not None:
            pairs = zip(EMBEDDINGS, self.vectors_N2H.swapaxes(0, 1), strict=True)
            columns |= {name: vectors(each, self.pooled_N) for name, each in pairs}
        return columns

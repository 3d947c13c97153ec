"""A pipeline of the tests: a question about each chunk, and then its answer; rows of its own, nothing of `rephrase`."""

from dataclasses import dataclass, field
from functools import partial

import pyarrow as pa

from cluster.session import ClusterConfig
from operators.models.chains import Chains
from operators.models.engines import EngineConfig
from operators.storage.config import InputConfig, StorageConfig
from operators.storage.listing import split_input
from operators.table import row_id, with_columns
from operators.text.chunk import ChunkConfig
from operators.text.extract import ExtractConfig
from pipelines.flow.engines.asking import Asking
from pipelines.flow.engines.preflight import check_engine
from pipelines.flow.faults.bisect import TableWork
from pipelines.flow.faults.config import AnswerFaults, CommitConfig
from pipelines.flow.faults.isolation import Isolation
from pipelines.flow.input.chunks import chunker
from pipelines.flow.input.files import input_files, versions
from pipelines.flow.orders.order import cut
from pipelines.flow.orders.rows import Form, rejected_columns
from pipelines.flow.orders.writer import ArtifactSink
from pipelines.flow.stream.dag import stream_orders
from pipelines.flow.stream.read import ReadOrders
from pipelines.flow.stream.refine import Refine
from pipelines.ledger.units import Units
from pipelines.reasons import Reasons
from pipelines.run.asking import AskingPipeline
from pipelines.run.card import Card, read_of
from pipelines.run.output import Output, output_place
from pipelines.run.recipe import described

ASKED = "pair"  # the one kind of rows that are asked about
REASONS = Reasons(asking=("quiz",))
PLACE = [("id", pa.string()), ("document_id", pa.string()), ("chunk_index", pa.int32()), ("kind", pa.string())]
PAIR = [("question", pa.string()), ("answer", pa.string())]
FORM = Form(
    Units("kind", REASONS.asking, whole_commits=False),
    data=pa.schema([*PLACE, *PAIR, ("prompt_tokens", pa.int32())]),
    rejected=rejected_columns("kind", "source_text"),
)


@dataclass
class QuizJob:
    input: InputConfig = field(default_factory=InputConfig)
    extract: ExtractConfig = field(default_factory=ExtractConfig)
    chunk: ChunkConfig = field(default_factory=ChunkConfig)
    engine: EngineConfig = field(default_factory=EngineConfig)
    output: Output = field(default_factory=Output)
    commit: CommitConfig = field(default_factory=CommitConfig)
    faults: AnswerFaults = field(default_factory=AnswerFaults)
    storage: StorageConfig = field(default_factory=StorageConfig)
    cluster: ClusterConfig = field(default_factory=ClusterConfig)


class Quiz(Chains):
    stage, kind, calls_per_row = "quiz", "kind", 2
    reads, adds = ("source_text",), pa.schema(PAIR)

    def __init__(self, engine):
        super().__init__(engine, seed=0)

    async def answer(self, row, ask):
        question = await ask(({"role": "user", "content": f"Ask about: {row['source_text']}"},), max_tokens=40)
        prompt = f"Answer: {question.text}\nFrom: {row['source_text']}"
        answer = await ask(({"role": "user", "content": prompt},), max_tokens=40)
        return {"question": question.text, "answer": answer.text}


def pairs_to_ask(config: ChunkConfig):
    """Give what makes rows to ask about of documents: a row for each chunk."""
    chunk = chunker(config)

    def rows_of(documents: pa.Table) -> pa.Table:
        chunks = chunk(documents)
        kinds = [None if index is None else ASKED for index in chunks["chunk_index"].to_pylist()]
        places = zip(
            *(chunks[name].to_pylist() for name in ("source_file", "position", "chunk_index")), kinds, strict=True
        )
        ids = pa.array([row_id(*place) for place in places], pa.string())
        return with_columns(chunks, id=ids, kind=pa.array(kinds, pa.string()))

    return rows_of


class QuizCard(Card):
    tag, columns = "quiz", "A `question` and its `answer` a row."

    def what(self, recipe):
        return "Questions and answers about texts."

    def facts(self, recipe, counts):
        return read_of({"documents": 0} | counts)


class QuizPipeline(AskingPipeline):
    card, units, cuts = QuizCard(), FORM.units, ("input.", "chunk.")

    def __init__(self, job: QuizJob):
        self.job, self.cluster = job, job.cluster
        self.place = output_place(job.output.path, job.storage, "runs/quiz")
        files, self.warnings = input_files(job.input, job.storage, self.place)
        model = check_engine(job.engine, job.chunk, self.warnings)
        self.place.check_writable()
        self.splits = split_input(files, job.input)
        keys = [split.key for split in self.splits]
        self.recipe = described(
            *("quiz", job, {"model": model.contents}, versions(files), keys),
            all_at_once=job.input.limit is not None,
            asking=REASONS.asking,
        )

    def stream(self, work, ledger, report):
        job, isolation = self.job, Isolation(report, self.job.faults.deadline_s)
        report.judge(job.faults.give_up_share, REASONS, FORM.units.kind)
        read = ReadOrders(
            *(job.input, job.storage, job.extract, 100 * job.chunk.max_tokens),
            fan_out=TableWork("chunk", partial(pairs_to_ask, job.chunk)),
            cut=partial(cut, calls_per_order=job.commit.calls_per_order, calls_per_row=Quiz.calls_per_row),
            calls=Quiz.calls,
            units=FORM.units,
            isolation=isolation,
        )
        asking = Asking("quiz", Quiz, job.engine, job.commit, job.faults)
        write = ArtifactSink(ledger, FORM, job.commit.orders_per_part(1024, Quiz.calls_per_row), report)
        stream_orders(work, read, asking, Refine(dict, (), FORM.units, REASONS, isolation), write, report)

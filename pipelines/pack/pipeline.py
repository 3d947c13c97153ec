"""Pack documents into rows of tokens of one length, as training reads them: read -> encode -> pack -> write.

The unit of work is a group of splits: rows go on from one document to the next through the group, so that small files make no
padding. A group is committed when all of it is packed.
"""

from dataclasses import asdict

from operators.storage.base import Split
from operators.storage.listing import split_input
from operators.text.tokenizer import tokenizer_files
from pipelines.counts import Counts
from pipelines.flow.board.reporter import Reporter
from pipelines.flow.input.examples import require_examples
from pipelines.flow.input.files import bytes_of, input_files, versions
from pipelines.flow.input.groups import grouped
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.records import State
from pipelines.pack.artifact import TOKENIZER
from pipelines.pack.card import PackCard
from pipelines.pack.job import PackJob, require_form
from pipelines.pack.pace import PackPace
from pipelines.pack.tasks import encoder, pack, packing_for
from pipelines.run.output import output_place
from pipelines.run.pipeline import Pipeline
from pipelines.run.recipe import described
from pipelines.stock.models import address_of, local_tokenizer


class PackDocuments(Pipeline):
    """Raises BadRequest for what cannot work, before anything is spent."""

    card = PackCard()

    def __init__(self, job: PackJob):
        self.job, self.cluster = job, job.cluster
        self.place = output_place(job.output.path, job.storage, "runs/packed")
        if job.pack.tokenizer:
            job.pack.tokenizer = address_of(job.pack.tokenizer, job.storage)
        require_form(job)
        encode = encoder(job.pack, job.examples, job.storage)
        self.packing = packing_for(job.pack, encode)
        files, self.warnings = input_files(job.input, job.storage, self.place)
        self.place.check_writable()
        self.splits = split_input(files, job.input)
        if job.pack.template:
            require_examples(self.splits, job.input, job.storage, job.extract, encode)
        contents = {"packing": asdict(self.packing), "pack.tokenizer": encode.deciding}
        self.recipe = described(
            "pack", job, contents, versions(files), [split.key for split in self.splits], all_at_once=True
        )

    def left(self, state: State) -> list[list[Split]]:
        groups = grouped(self.splits, self.job.input.limit)
        return [group for group in groups if any(state.lacks(split.key) for split in group)]

    def of_all(self, work: list[list[Split]]) -> Counts:
        return {"read": {"of_bytes": sum(map(bytes_of, work))}}

    def stream(self, work: list[list[Split]], ledger: Ledger, report: Reporter) -> None:
        for name, path in tokenizer_files(local_tokenizer(self.job.pack.tokenizer, self.job.storage)).items():
            ledger.place.publish(f"{TOKENIZER}/{name}", path.read_bytes())
        pack(self.job, self.packing, work, ledger, report)

    def pace(self) -> PackPace:
        return PackPace()

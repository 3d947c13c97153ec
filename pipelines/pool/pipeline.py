"""Read records into a pool of examples, from which is selected: read -> keep examples -> write.

The pool's rows keep the records as they were. The position of a row is its number in the order of the data, over all parts.
The unit of work is a group of splits; a last one finds the ids that stand in several rows, which are told apart by their places.
"""

from operators.errors import BadRequest
from operators.examples.keep import KeepExamples
from operators.storage.base import Split
from operators.storage.listing import split_input
from operators.storage.place import Place
from pipelines.counts import Counts
from pipelines.flow.board.reporter import Reporter
from pipelines.flow.input.examples import require_examples
from pipelines.flow.input.files import bytes_of, input_files, versions
from pipelines.flow.input.groups import grouped
from pipelines.ledger.artifacts import digest
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.records import State
from pipelines.pool.card import PoolCard
from pipelines.pool.job import PoolJob
from pipelines.pool.pace import PoolPace
from pipelines.pool.tasks import IDS, find_repeated_ids, read_pool
from pipelines.run.output import output_place
from pipelines.run.pipeline import Pipeline
from pipelines.run.recipe import described


class ReadPool(Pipeline):
    """Raises BadRequest for what cannot work. Without output.path the artifact stands in `folder`, named by what decides it.

    `rows` is where rows of the pool will be chosen to, which are no input.
    """

    card = PoolCard()

    def __init__(self, job: PoolJob, folder: str | None = None, rows: Place | None = None):
        self.job, self.cluster = job, job.cluster
        if job.input.text_column is not None:
            raise BadRequest(
                f"input.text_column={job.input.text_column}, and whole records are read here. Leave it null, and name the column "
                "with the text by examples.plain_column."
            )
        own = rows or Place(job.output.path or folder or ".", job.storage)
        files, self.warnings = input_files(job.input, job.storage, own, folder and Place(folder, job.storage).url)
        self.splits = split_input(files, job.input)
        require_examples(self.splits, job.input, job.storage, job.extract, KeepExamples(job.examples))
        keys = [*(split.key for split in self.splits), IDS]
        self.recipe = described(
            "pool", job, {"equal ids": "told apart by place"}, versions(files), keys, all_at_once=True
        )
        self.place = output_place(job.output.path or f"{folder}/pool-{digest(self.recipe)}", job.storage, "runs/pool")
        self.place.check_writable()

    def left(self, state: State) -> list[list[Split]]:
        """Give the groups that are left to read, and an empty one for the ids."""
        groups = [*grouped(self.splits, self.job.input.limit), []]
        return [group for group in groups if any(state.lacks(key) for key in keys_of(group))]

    def of_all(self, work: list[list[Split]]) -> Counts:
        return {"read": {"of_bytes": sum(map(bytes_of, work))}}

    def pace(self) -> PoolPace:
        return PoolPace()

    def stream(self, work: list[list[Split]], ledger: Ledger, report: Reporter) -> None:
        if groups := [group for group in work if group]:
            read_pool(self.job, groups, ledger, report)
        if [] in work:  # what is read again, where a part was harmed, has the ids that it had
            find_repeated_ids(ledger)


def keys_of(group: list[Split]) -> list[str]:
    """Name the splits that a group settles; the empty group is that of the ids."""
    return [split.key for split in group] or [IDS]

"""Records into a pool of examples to select from; a stage of `select` and `compare`.

job.py        what decides a pool
pipeline.py   what a run must know of it
tasks.py      groups of splits into parts of examples, and which of their ids repeat
artifact.py   a pool as later stages open it
pace.py       its line of progress
card.py       what it tells people
"""

from pipelines.run.entry import Entry

ENTRIES = {
    "pool": Entry(
        "records -> examples to select from",
        "pipelines.pool.job:PoolJob",
        "pipelines.pool.pipeline:ReadPool",
        internal=True,
    ),
}

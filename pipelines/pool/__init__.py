"""Records into a pool of examples."""

from pipelines.run.entry import Entry

ENTRIES = {
    "pool": Entry(
        "records -> examples to select from",
        "pipelines.pool.job:PoolJob",
        "pipelines.pool.pipeline:ReadPool",
        internal=True,
    ),
}

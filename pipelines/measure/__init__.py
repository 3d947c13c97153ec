"""A feature of the rows of a pool."""

from pipelines.run.entry import Entry

ENTRIES = {
    "measure": Entry(
        "examples -> a feature",
        "pipelines.measure.job:MeasureJob",
        "pipelines.measure.pipeline:MeasureRows",
        internal=True,
    ),
}

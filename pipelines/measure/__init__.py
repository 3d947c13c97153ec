"""Rows of a pool into a feature; a stage of `select`.

job.py        where a feature is measured
feature.py    what measures it, with which settings and models
pipeline.py   what a run must know of it
tasks.py      parts of a pool through actors that hold the operator
artifact.py   a feature as later stages open it
pace.py       its line of progress
card.py       what it tells people
"""

from pipelines.run.entry import Entry

ENTRIES = {
    "measure": Entry(
        "examples -> a feature",
        "pipelines.measure.job:MeasureJob",
        "pipelines.measure.pipeline:MeasureRows",
        internal=True,
    ),
}

"""A feature of the rows of a pool.

job.py         what decides where it is measured
feature.py     a feature as it is planned: what measures it, with which settings and models
pipeline.py    what a run must know of a measurement
tasks.py       the tasks: actors with the operator measure parts of the pool
artifact.py    a finished feature, as later stages open it
card.py        what an artifact tells people
pace.py        what shows the progress
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

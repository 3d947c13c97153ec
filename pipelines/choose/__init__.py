"""One selector chooses from a pool.

job.py          what decides a choice
selectors.py    the selectors there are: a new one has its line here
spec.py         a selector as a run names it: NAME, or NAME:KEY=VALUE for one with settings of its own
view.py         the pool with its features, as a selector sees it
inputs.py       what else a selector is handed: a target set, scores, what stages before the choice made
pipeline.py     what a run must know of a choice
tasks.py        the task: the selector chooses, and its rows are committed
picks.py        the rows at the picks, in their order, with memory for a part of them
artifact.py     a finished choice, as later stages open it
card.py         what an artifact tells people
"""

from pipelines.run.entry import Entry

ENTRIES = {
    "choose": Entry(
        "examples and features -> a choice",
        "pipelines.choose.job:ChooseJob",
        "pipelines.choose.pipeline:ChooseRows",
        internal=True,
    ),
}

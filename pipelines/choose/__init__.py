"""One selector chooses from a pool."""

from pipelines.run.entry import Entry

ENTRIES = {
    "choose": Entry(
        "examples and features -> a choice",
        "pipelines.choose.job:ChooseJob",
        "pipelines.choose.pipeline:ChooseRows",
        internal=True,
    ),
}

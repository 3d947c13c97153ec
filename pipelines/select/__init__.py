"""Choose training data by several selectors, side by side.

job.py          what `gristmill run select` can be told
pipeline.py     what a run must know of a selection
stages.py       the artifacts that the choices stand on, in the order in which they are made
measuring.py    the columns that selectors read are measured, each feature once
features/       which feature has a column, and of which settings it is made
prepare/        what is made before a selector chooses
tasks.py        the task: a page that compares the choices, and a copy of each
report.py       what that page is made of
card.py         what an artifact tells people
"""

from pipelines.run.entry import Entry

ENTRIES = {
    "select": Entry(
        "records -> the rows worth training on, chosen by any of the selectors, side by side",
        "pipelines.select.job:SelectJob",
        "pipelines.select.pipeline:Select",
        """\
  gristmill run select --config configs/select/smoke.yaml
  gristmill run select input.path=alpaca.jsonl selectors=[zip,k_center,ifd] budget.rows=10000 \\
      scorer.path=Qwen/Qwen2.5-0.5B output.path=runs/choice
  gristmill run select input.path=s3://bucket/pool/ selectors=[random,less,rds] target.path=tasks.jsonl budget.share=0.05 \\
      scorer.path=Qwen/Qwen2.5-0.5B output.path=s3://bucket/choice
  gristmill run select input.path=alpaca.jsonl selectors=[ifd,ifd:variant=as_released] budget.tokens=1000000 \\
      scorer.path=gpt2 output.path=runs/ifd
""",
    ),
}

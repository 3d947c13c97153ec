"""Does a choice beat chance?

job.py         what `gristmill run compare` can be told, and the selection that follows from it
pipeline.py    what a run must know of a comparison
trials.py      the students: which choice each learns, and its seed
tasks.py       the task: a student answers the evaluation set
card.py        what an artifact tells people
"""

from pipelines.run.entry import Entry

ENTRIES = {
    "compare": Entry(
        "records -> a student for each selector's choice, evaluated beside students on random rows",
        "pipelines.compare.job:CompareJob",
        "pipelines.compare.pipeline:Compare",
        """\
  gristmill run compare --config configs/compare/smoke.yaml
  gristmill run compare input.path=alpaca.jsonl evaluation.path=heldout.jsonl selectors=[zip,ifd,k_center] budget.rows=1000 \\
      scorer.path=Qwen/Qwen2.5-0.5B student.model.path=Qwen/Qwen2.5-0.5B student.epochs=3 output.path=runs/comparison
""",
    ),
}

"""Does a choice beat chance?"""

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

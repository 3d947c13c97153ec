"""Choose training data by several selectors, side by side."""

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

"""Documents into rows of tokens."""

from pipelines.run.entry import Entry

ENTRIES = {
    "pack": Entry(
        "documents -> rows of tokens of one length, as training reads them",
        "pipelines.pack.job:PackJob",
        "pipelines.pack.pipeline:PackDocuments",
        """\
  gristmill run pack --config configs/pack/smoke.yaml
  gristmill run pack input.path=runs/first pack.tokenizer=Qwen/Qwen2.5-0.5B output.path=runs/packed
  gristmill run pack input.path=alpaca.jsonl input.text_column=null pack.template=alpaca \\
      pack.tokenizer=runs/student pack.window=1024 output.path=runs/sft
""",
    ),
}

"""Documents into rows of tokens of one length.

job.py        what it can be told
pipeline.py   what a run must know of it
tasks.py      groups of splits into parts of packed rows
artifact.py   packed rows as later stages open them
pace.py       its line of progress
card.py       what it tells people
"""

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

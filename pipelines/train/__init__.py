"""Packed rows (and scores) into models: `reference` and `pretrain`, and the students of other pipelines.

job.py        what a training run can be told
pipeline.py   what a run must know of it
plan.py       what its workers are handed: data, loss, when to do what
workers.py    what the workers of a training do
states.py     what a run goes on from
metrics.py    what it measured, as rows and curves
student.py    a model that is fine-tuned on chosen rows
pace.py       its line of progress
card.py       what it tells people
"""

from pipelines.run.entry import Entry

ENTRIES = {
    "reference": Entry(
        "packed rows of clean text -> a reference model, trained with plain cross-entropy (Rho-1)",
        "pipelines.train.job:ReferenceJob",
        "pipelines.train.pipeline:Train",
        """\
  gristmill run reference --config configs/reference/smoke.yaml
  gristmill run reference data.path=runs/clean model.path=TinyLlama/TinyLlama_v1.1 optimizer.lr=5e-5 epochs=3 \\
      workers.count=8 output.path=s3://bucket/reference
""",
    ),
    "pretrain": Entry(
        "packed rows (and scores) -> a model, trained on all tokens or on the best of them (Rho-1)",
        "pipelines.train.job:PretrainJob",
        "pipelines.train.pipeline:Pretrain",
        """\
  gristmill run pretrain --config configs/pretrain/smoke.yaml
  gristmill run pretrain data.path=runs/packed data.scores=runs/scores loss.name=selective loss.keep=0.6 \\
      model.path=TinyLlama/TinyLlama_v1.1 optimizer.lr=8e-5 batch.rows=512 tokens=15e9 workers.count=32 output.path=s3://bucket/rho
  gristmill run pretrain data.path=runs/packed model.preset=llama-350m epochs=1 output.path=runs/plain
""",
    ),
}

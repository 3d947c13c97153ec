"""Packed rows into the loss of every token under reference models (Rho-1).

job.py        what it can be told
pipeline.py   what a run must know of it
tasks.py      ranges of rows through a pool of scorers
artifact.py   scores as later stages open them
pace.py       its line of progress
card.py       what it tells people
"""

from pipelines.run.entry import Entry

ENTRIES = {
    "score": Entry(
        "packed rows -> the loss of every token under reference models, beside the tokens (Rho-1)",
        "pipelines.score.job:ScoreJob",
        "pipelines.score.pipeline:ScoreRows",
        """\
  gristmill run score --config configs/score/smoke.yaml
  gristmill run score data.path=runs/packed reference.models=[runs/reference] output.path=runs/scores
  gristmill run score data.path=runs/packed reference.models=[Qwen/Qwen2.5-0.5B] score.entropy=true output.path=s3://bucket/scores
  gristmill run score data.path=runs/small reference.openai.base_url=http://localhost:8000/v1 \\
      reference.openai.model=my-model reference.tokenizer=my/model output.path=runs/small-scores
""",
    ),
}

"""Checkpoints of a run into how the loss of each token moved (Rho-1).

job.py        what it can be told
pipeline.py   what a run must know of it
tasks.py      shards of losses into classes of tokens
samples.py    the texts on its page
card.py       what it tells people
"""

from pipelines.run.entry import Entry

ENTRIES = {
    "dynamics": Entry(
        "checkpoints of a run -> how the loss of each token moved: classes, curves, a page (Rho-1)",
        "pipelines.dynamics.job:DynamicsJob",
        "pipelines.dynamics.pipeline:Dynamics",
        """\
  gristmill run dynamics data.path=runs/validation checkpoints=[runs/plain] output.path=runs/dynamics
  gristmill run dynamics data.path=runs/validation data.scores=runs/validation-scores loss.keep=0.6 \\
      checkpoints=[step-1000,step-2000,step-3000] output.path=s3://bucket/dynamics
""",
    ),
}

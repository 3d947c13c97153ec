"""Training dynamics: how the loss of each token moves over the checkpoints of a run."""

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

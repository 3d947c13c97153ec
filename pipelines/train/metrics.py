"""The metrics of a training run: rows of its artifact, and curves where TensorBoard or Weights & Biases is at hand."""

import importlib.util
import os
from hashlib import blake2b
from types import ModuleType

import pyarrow as pa

from operators.storage.filesystem import local_path
from operators.storage.place import Place

NO_CURVES = ("id", "step")
COUNTS = ("step", "tokens_seen", "tokens_trained")
METRICS = pa.schema(
    [
        ("id", pa.string()),
        *((name, pa.int64()) for name in COUNTS),
        *((name, pa.float64()) for name in ("loss", "loss_kept", "loss_left", "kept", "validation_loss")),
        *((name, pa.float64()) for name in ("grad_norm", "lr", "seconds", "tokens_per_second", "mfu")),
    ]
)


def as_table(rows: list[dict]) -> pa.Table:
    """Make a table of the metrics of some steps: a row a step, null where something was not measured."""
    return pa.Table.from_pylist([{"id": f"step-{row['step']:08}"} | row for row in rows], METRICS)


class Live:
    """Passes on the metrics of each step to what is at hand.

    That is TensorBoard in the folder of a local artifact, and Weights & Biases where it is installed and WANDB_PROJECT is set.
    """

    def __init__(self, place: Place, step: int):
        folder = local_path(place.url)
        self.board = self.wandb = None
        if folder and (tensorboard := _installed("tensorboardX")):
            self.board = tensorboard.SummaryWriter(f"{folder}/tensorboard", purge_step=step + 1)
        if os.environ.get("WANDB_PROJECT") and (wandb := _installed("wandb")):
            name = place.url.rsplit("/", 1)[-1]
            self.wandb = wandb.init(
                name=name, id=blake2b(place.url.encode(), digest_size=8).hexdigest(), resume="allow"
            )

    def show(self, row: dict) -> None:
        """Pass on the metrics of a step."""
        curves = {name: value for name, value in row.items() if name not in NO_CURVES and value is not None}
        if self.board:
            for name, value in curves.items():
                self.board.add_scalar(name, value, row["step"])
            self.board.flush()  # a worker may be killed at any moment
        if self.wandb:
            self.wandb.log(curves, step=row["step"])

    def close(self) -> None:
        """Have all of it written."""
        if self.board:
            self.board.close()
        if self.wandb:
            self.wandb.finish()


def _installed(name: str) -> ModuleType | None:
    """Import what the user may have installed beside gristmill."""
    return importlib.import_module(name) if importlib.util.find_spec(name) else None

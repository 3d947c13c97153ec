"""What gradients of examples are taken of, and how they are projected."""

from dataclasses import dataclass

from operators.errors import BadRequest
from operators.settings import setting

KINDS = ("train", "target")


@dataclass
class GradientsConfig:
    """`path` is the checkpoint of adapters: where it lies decides nothing."""

    path: str | None = setting(
        None, "checkpoint of a training of adapters: a folder with moments (checkpoint.moments=true)", identity=False
    )
    kind: str = setting("train", "train: the step that Adam would take; target: the gradient itself")
    dimensions: int = setting(8192, "dimensions that gradients are projected to")
    seed: int = setting(0, "of the projection")
    released: bool = setting(
        False, "frame rows to the letter of the released code, a line end after each answer's end too"
    )

    def __post_init__(self):
        if self.kind not in KINDS:
            raise BadRequest(f"gradients.kind is {self.kind!r}. It may be {' or '.join(KINDS)}.")
        if self.dimensions < 1:
            raise BadRequest(f"gradients.dimensions is a number from 1, got {self.dimensions}.")

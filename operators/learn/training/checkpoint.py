"""A run on disk: the state to go on from, and the model for others to use. No file of it can run code when it is read.

Of a run that trains adapters (LoRA) the state has these alone, because the model beside them does not change; the model for
others has them merged into its weights.

Neither depends on the number of ranks: each tensor is put together on its way to the file. All ranks call each function here
in the same order; the first one writes.
"""

import copy
import hashlib
import json
import shutil
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor
from transformers import PreTrainedModel
from transformers.utils import logging

from operators.errors import BadRequest
from operators.learn.training.parallel import DTYPES, World, divided, whole
from operators.models.lora import MEAN, MOMENTS_FILE, SQUARE, Lora, Moments, merged

STATE = "state.json"  # written last: a folder that has it is whole
FORMAT = 2
FILE_BYTES = 2 * 2**30  # of one file of tensors, about; no more of a state is in memory at once
WEIGHT, MOMENTS = "weight", (MEAN, SQUARE, "step")
TOKENIZER_FILES = (
    "tokenizer*",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template*",
    "vocab.*",
    "merges.txt",
)


def save_state(
    folder: Path, model: PreTrainedModel, optimizer: torch.optim.Optimizer, position: dict, world: World
) -> None:
    """Write float32 weights that are trained, their moments, and `position`, to a new folder.

    `position` are numbers and names that say where the run is. Beside it stand size in bytes and BLAKE2b-128 of each file of
    tensors.
    """
    files = []
    for number, bundle in enumerate(_bundles(_state(model, optimizer))):
        if world.rank == 0:
            folder.mkdir(parents=True, exist_ok=True)
            file = folder / f"state-{number:05}.safetensors"
            save_file(bundle, file)
            files.append({"name": file.name, "bytes": file.stat().st_size, "blake2b": _digest(file)})
    if world.rank == 0:
        (folder / STATE).write_text(json.dumps({"format": FORMAT, "files": files, "position": position}, indent=2))


def load_state(folder: Path, model: PreTrainedModel, optimizer: torch.optim.Optimizer) -> dict:
    """Put weights and moments back where they were, and return the position.

    Raises BadRequest where a file is damaged, before anything is changed, and where they do not fit.
    """
    state = _read(folder)
    with ExitStack() as files:
        opened = [files.enter_context(safe_open(folder / file["name"], "pt")) for file in state["files"]]
        place = {key: file for file in opened for key in file.keys()}  # noqa: SIM118, it is no mapping
        _refuse_surplus(place, model, folder)
        for name, parameter in _trained(model):
            _restore(parameter, name, optimizer, place, folder)
    return state["position"]


def save_model(folder: Path, model: PreTrainedModel, precision: str, tokenizer: Path | None, world: World) -> None:
    """Write a model folder in Hugging Face format, weights in `precision`, with the files of the tokenizer beside them."""
    dtype, gathered, named = DTYPES[precision], {}, {}
    for name, tensor, make in merged(model, whole):
        named[name] = id(tensor)
        if id(tensor) not in gathered:  # tied weights stay one tensor
            values = make()
            gathered[id(tensor)] = _on_processor(values, dtype) if world.rank == 0 else None
    if world.rank != 0:
        return
    logging.disable_progress_bar()
    model.save_pretrained(folder, state_dict={name: gathered[tensor] for name, tensor in named.items()})
    config = copy.deepcopy(model.config)
    config.dtype = dtype
    config.save_pretrained(folder)
    for pattern in TOKENIZER_FILES if tokenizer else ():
        for file in tokenizer.glob(pattern):
            shutil.copy(file, folder)


def save_moments(
    folder: Path, model: PreTrainedModel, optimizer: torch.optim.Optimizer, lora: Lora, rate: float, world: World
) -> None:
    """Write the adapters as a model's folder keeps them beside it: float32, with `rate` as their learning rate."""
    parts: tuple[dict[str, Tensor], ...] = ({}, {}, {})
    for name, parameter in _trained(model):
        moments = optimizer.state[parameter]
        for named, tensor in zip(parts, (parameter.detach(), moments[MEAN], moments[SQUARE]), strict=True):
            values = whole(tensor)
            if world.rank == 0:
                named[name] = _on_processor(values, torch.float32)
    if world.rank == 0:
        folder.mkdir(parents=True, exist_ok=True)
        Moments(lora, rate, *parts).save(folder / MOMENTS_FILE)


def _trained(model: PreTrainedModel) -> Iterator[tuple[str, torch.nn.Parameter]]:
    return ((name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad)


def _read(folder: Path) -> dict:
    """Read what a state is made of, and hold its files against it."""
    try:
        state = json.loads((folder / STATE).read_text())
    except FileNotFoundError as error:
        raise BadRequest(f"no state of a training run in {folder}: it has no {STATE}. Take an earlier one.") from error
    except ValueError as error:
        raise BadRequest(f"{folder / STATE} is damaged: {error}. Take an earlier state.") from error
    if state["format"] != FORMAT:
        raise BadRequest(f"{folder} has a state of format {state['format']}, and this version reads {FORMAT}.")
    for file in state["files"]:
        path = folder / file["name"]
        size = path.stat().st_size if path.exists() else 0
        if size != file["bytes"] or _digest(path) != file["blake2b"]:
            raise BadRequest(
                f"{path} is damaged: it has {size} bytes, and not the {file['bytes']} that were written. Take an earlier state."
            )
    return state


def _digest(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, partial(hashlib.blake2b, digest_size=16)).hexdigest()


def _refuse_surplus(keys: Iterable[str], model: PreTrainedModel, folder: Path) -> None:
    known = {name for name, _ in _trained(model)}
    surplus = sorted({name for name in (key.partition("/")[2] for key in keys) if name not in known})
    if surplus:
        raise _of_another_model(folder, f"{surplus[0]} is there and not here")


def _of_another_model(folder: Path, why: str) -> BadRequest:
    return BadRequest(
        f"the state in {folder} is of another model: {why}. Go on with the settings that it was made with."
    )


def _on_processor(values: Tensor, dtype: torch.dtype) -> Tensor:
    return values.to("cpu", dtype if values.is_floating_point() else values.dtype).contiguous()


def _state(model: PreTrainedModel, optimizer: torch.optim.Optimizer) -> Iterator[tuple[str, Tensor]]:
    for name, parameter in _trained(model):
        yield f"{WEIGHT}/{name}", parameter.detach()
        for moment in MOMENTS if parameter in optimizer.state else ():
            yield f"{moment}/{name}", optimizer.state[parameter][moment]


def _bundles(tensors: Iterator[tuple[str, Tensor]]) -> Iterator[dict[str, Tensor]]:
    """Put whole tensors together until they fill a file."""
    bundle, size = {}, 0
    for name, tensor in tensors:
        bundle[name] = whole(tensor).cpu().contiguous()
        size += bundle[name].nbytes
        if size >= FILE_BYTES:
            yield bundle
            bundle, size = {}, 0
    yield bundle


def _restore(
    parameter: torch.nn.Parameter, name: str, optimizer: torch.optim.Optimizer, place: dict, folder: Path
) -> None:
    key = f"{WEIGHT}/{name}"
    shape = list(place[key].get_slice(key).get_shape()) if key in place else None
    if shape != list(parameter.shape):
        raise _of_another_model(folder, f"{name} is {list(parameter.shape)} here and {shape or 'not'} there")
    with torch.no_grad():
        parameter.copy_(divided(place[key].get_tensor(key), parameter))
    moments = {moment: f"{moment}/{name}" for moment in MOMENTS}
    if all(moment in place for moment in moments.values()):
        values = {moment: place[key].get_tensor(key) for moment, key in moments.items()}
        optimizer.state[parameter] = {
            moment: tensor.to(parameter.device) if moment == "step" else divided(tensor, parameter)
            for moment, tensor in values.items()
        }

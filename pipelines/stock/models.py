"""Where a model is: a folder here or in object storage, a name on the hub, or the last checkpoint of a training artifact."""

import atexit
import shutil
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Any

from operators.errors import BadRequest
from operators.models.engines.context import model_facts
from operators.storage.config import StorageConfig
from operators.storage.filesystem import Place, local_path
from operators.text.tokenizer import FILE, OTHER_FILES, contents_digest, load_tokenizer
from operators.tokens.rows import Packing
from pipelines.ledger.layout import CHECKPOINTS, MODEL_FILE
from pipelines.ledger.reading import read_records

CONFIG = "config.json"


def resolve_model(model: str, storage: StorageConfig) -> tuple[str, str | None]:
    """Give the address of a model (see `address_of`), and what changes when its contents do.

    Raises BadRequest where there is no such model, saying what is missing.
    """
    if not model:
        raise BadRequest("no model is named. Give a model folder, an artifact of `pretrain`, or a name on the hub.")
    address = address_of(model, storage)
    return address, model_facts(local_model(address, storage)).contents


def address_of(model: str, storage: StorageConfig) -> str:
    """Give the absolute address of a model or tokenizer: for an artifact of `pretrain` or `reference` its last checkpoint."""
    if "://" in model or (Path(model).expanduser().is_dir() and not Path(model).expanduser().joinpath(CONFIG).exists()):
        model = _last_checkpoint(Place(model, storage)) or model
    return absolute(model)


def absolute(path: str) -> str:
    """Give what is here its absolute path, because workers run in other folders; all else as it stands."""
    here = Path(path).expanduser()
    return str(here.absolute()) if "://" not in path and here.exists() else path


def local_model(model: str, storage: StorageConfig) -> str:
    """Give a folder of this machine (or a hub name) for the address of a model; what lies elsewhere is fetched once."""
    if local_path(model):
        return local_path(model) if model.startswith("file://") or Path(model).expanduser().exists() else model
    names = Place(model, storage).names()
    if CONFIG not in names:
        raise BadRequest(f"{model} is no model: it holds no {CONFIG}. Give the folder that save_pretrained wrote.")
    return fetched(model, storage)


def local_tokenizer(tokenizer: str, storage: StorageConfig) -> str:
    """Give a path of this machine (or a hub name) for the address of a tokenizer; of a model elsewhere no more is fetched."""
    if "://" not in tokenizer:
        return tokenizer
    folder = tokenizer.removesuffix(f"/{FILE}")
    if not Place(folder, storage).exists(FILE):
        raise BadRequest(f"{folder} holds no {FILE}. Give a folder that does, as save_pretrained writes it.")
    return fetched(folder, storage, (FILE, *OTHER_FILES))


def fetched(folder: str, storage: StorageConfig, files: tuple[str, ...] | None = None) -> str:
    """Give a folder of this machine with some files (null: all) of one that may lie elsewhere; a process fetches them once."""
    return local_path(folder) or _fetched(folder, files, storage.endpoint_url, storage.anonymous)


@lru_cache
def _fetched(folder: str, files: tuple[str, ...] | None, *storage: Any) -> str:
    """Fetch into a folder that goes with the process: what lies at an address may be another thing tomorrow."""
    here = tempfile.mkdtemp(prefix="gristmill-fetched-")
    atexit.register(shutil.rmtree, here, ignore_errors=True)
    place = Place(folder, StorageConfig(*storage))
    for name in place.names():
        if files is None or name in files:
            Path(here, name).write_bytes(place.read(name))
    return here


def require_tokenizer(tokenizer: str, packing: Packing) -> None:
    """Raise BadRequest unless a tokenizer is the one that rows were packed with."""
    if contents_digest(load_tokenizer(tokenizer)) != packing.tokenizer:
        raise BadRequest(
            f"the rows were packed with another tokenizer than that of {tokenizer}. Pack with its tokenizer "
            f"(pack.tokenizer={tokenizer}), or take a model that was trained with the one of the rows."
        )


def require_fit(model: str, packing: Packing, storage: StorageConfig) -> None:
    """Raise BadRequest unless a model has the tokenizer that rows were packed with, and reads as many tokens as a row has."""
    here = local_model(model, storage)
    require_tokenizer(here, packing)
    context = model_facts(here).context_tokens
    if context is not None and context < packing.window:
        raise BadRequest(
            f"the rows are {packing.window} tokens long and {model} reads {context} at most. Pack with pack.window={context}, "
            "or take a model with a longer context."
        )


def checkpoints(place: Place) -> list[str]:
    """Give the folders of an artifact's checkpoints, relative to it, in the order of their steps."""
    records = read_records(place)
    if records is None:
        return []
    parts = (part.name for commit in records.commits(place) for part in commit.parts)
    folders = {name.rpartition("/")[0] for name in parts if MODEL_FILE.fullmatch(name)}
    return sorted(folders, key=step_of)


def step_of(folder: str) -> int:
    """Read the step in the name of a checkpoint's folder."""
    return int(folder.rpartition("-step-")[2])


def checkpoint_folder(run: int, step: int) -> str:
    """Name the folder of a checkpoint."""
    return f"{CHECKPOINTS}/run-{run:08}-step-{step:08}"


def _last_checkpoint(place: Place) -> str | None:
    records = read_records(place)
    if not (records and (folders := checkpoints(place))):
        return None
    last, steps = folders[-1], int(records.recipe["splits"][0].rpartition("-")[2])
    if step_of(last) < steps:
        raise BadRequest(
            f"{place.url} is not finished: its last checkpoint is that of step {step_of(last):,} of {steps:,}. Go on with it "
            f"first, or name that checkpoint itself: {place.url}/{last}"
        )
    return f"{place.url}/{last}"

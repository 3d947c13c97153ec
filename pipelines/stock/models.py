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
from operators.storage.filesystem import local_path
from operators.storage.place import Place
from operators.text.tokenizer import FILE, OTHER_FILES
from pipelines.stock.checkpoints import last_checkpoint

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
        model = last_checkpoint(Place(model, storage)) or model
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

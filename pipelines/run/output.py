"""Where the artifact of a run goes."""

from dataclasses import dataclass

from operators.errors import BadRequest
from operators.settings import setting
from operators.storage.config import StorageConfig
from operators.storage.place import Place


@dataclass
class Output:
    """Where the artifact goes; pipelines that can be told more of it add to this."""

    path: str | None = setting(None, "folder of the artifact: a local path or s3://BUCKET/PREFIX", identity=False)


def output_place(path: str | None, storage: StorageConfig, example: str) -> Place:
    """Give the place of an artifact. Raises BadRequest where none was named."""
    if path is None:
        raise BadRequest(f"output.path is not given: a folder or s3://BUCKET/PREFIX, for example output.path={example}")
    return Place(path, storage)

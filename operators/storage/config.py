"""What can be said of storages and inputs."""

from dataclasses import dataclass
from typing import Any

from operators.settings import setting
from operators.storage.registry import FORMATS

NAMES = list(FORMATS)
ID = "id"  # the one column of ids that need not be there


@dataclass
class StorageConfig:
    endpoint_url: str | None = setting(
        None, "address of the S3 service; null: AWS_ENDPOINT_URL, else Amazon's own", identity=False
    )
    anonymous: bool = setting(False, "read S3 without credentials, as public buckets allow", identity=False)


@dataclass
class InputConfig:
    path: Any = setting(None, "file, folder, glob, or a list of them: local, s3://... or hf://datasets/...")
    format: str | None = setting(None, f"{', '.join(NAMES[:-1])} or {NAMES[-1]}; null: told by each file's name")
    text_column: str | None = setting("text", "column that holds the text; null: the text is the whole record, as JSON")
    id_column: str | None = setting(
        ID, f"column that holds the id; {ID} may lack, then an id is made of place and text; null: all ids are made"
    )
    limit: int | None = setting(None, "documents to read at most; null: all")
    on_error: str = setting("reject", "a corrupt file: reject (by name, the others go on) or fail (stop)")
    split_mb: int = setting(128, "MiB of a file that one task reads, where the format can be split")

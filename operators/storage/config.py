"""Which storage, beside what an address says."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from operators.settings import setting

if TYPE_CHECKING:
    pass


@dataclass
class StorageConfig:
    endpoint_url: str | None = setting(
        None, "address of the S3 service; null: AWS_ENDPOINT_URL, else Amazon's own", identity=False
    )
    anonymous: bool = setting(False, "read S3 without credentials, as public buckets allow", identity=False)

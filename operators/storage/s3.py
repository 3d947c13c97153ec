"""S3 with patience: what passes is tried again in one place, and what the store says is told apart by its code.

botocore and s3fs would each try again on their own, one inside the other, up to 8 x 5 x 5 times where a server is silent and for
seconds where it is down. Here both try once, and `patiently` does the rest.
"""

import asyncio
import logging
import random
import re
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from itertools import count
from typing import Any, TypeVar

from fsspec.asyn import sync, sync_wrapper
from s3fs.core import S3_RETRYABLE_ERRORS, ClientError, S3File, S3FileSystem, botocore

from operators.errors import StorageFailure, StorageRefusal
from operators.storage.config import StorageConfig

log = logging.getLogger(__name__)
Result = TypeVar("Result")

PATIENCE_S = 150.0  # from a request's first failure until it is given up
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 15.0  # between two tries; doubled from one to the next
TOLD_AFTER = 5  # failures of one request, some 5 seconds, before somebody who watches is told
CONNECT_S = 10.0
SILENCE_S = 30.0  # without a byte of the answer
TRY_S = 300.0  # for one try in all: nothing else ends an upload that the server has stopped to take in

PART_BYTES = 16 * 2**20  # of a multipart upload, which begins at twice this; what a reset costs at most
PARTS_AT_ONCE = 4  # each is held in memory once more

PASSING = (
    *S3_RETRYABLE_ERRORS,
    botocore.exceptions.ConnectionError,
    botocore.exceptions.IncompleteReadError,
    botocore.exceptions.CredentialRetrievalError,  # the machine's own service of credentials is away
    botocore.exceptions.MetadataRetrievalError,
    ConnectionError,
    TimeoutError,
)
PASSING_CODES = {
    *("RequestTimeout", "SlowDown", "InternalError", "ServiceUnavailable", "Throttling", "ThrottlingException"),
    *("TooManyRequests", "RequestLimitExceeded", "BandwidthLimitExceeded", "PriorRequestNotComplete"),
    *("OperationAborted", "ConditionalRequestConflict"),  # another writer is at the same name
    *("IncompleteBody", "BadDigest", "XAmzContentSHA256Mismatch"),  # damaged on its way
}
PASSING_STATUS = {408, 429}

ABOUT_ONE_OBJECT = {"AccessDenied", "InvalidObjectState"}  # of the answers 403; all others speak of who asks
CREDENTIALS_CODES = {"ExpiredToken", "ExpiredTokenException", "InvalidToken", "InvalidTokenId", "TokenRefreshRequired"}
CLOCK_CODES = {"RequestTimeTooSkewed", "RequestExpired"}
NO_CREDENTIALS = (
    botocore.exceptions.NoCredentialsError,
    botocore.exceptions.PartialCredentialsError,
    botocore.exceptions.TokenRetrievalError,
    botocore.exceptions.SSOError,
)

# An answer to HEAD has no body, so no code: these ask for the same and have one.
WITH_A_BODY = {
    "head_object": ("get_object", {"Range": "bytes=0-0"}),
    "head_bucket": ("list_objects_v2", {"MaxKeys": 1}),
}

AGAIN = "the same command goes on from there"


class Unsound(ConnectionError):
    """An answer that contradicts itself or another one; the next may be sound."""


def connect(storage: StorageConfig) -> "PatientS3":
    """Give the S3 service of the settings; one for a process."""
    return PatientS3(
        anon=storage.anonymous,
        endpoint_url=storage.endpoint_url,
        use_listings_cache=False,
        config_kwargs={
            "connect_timeout": CONNECT_S,
            "read_timeout": SILENCE_S,
            "retries": {"mode": "standard", "total_max_attempts": 1},
            # S3-compatible servers often know no trailing checksums, which botocore would send and ask for by default.
            "request_checksum_calculation": "when_required",
            "response_checksum_validation": "when_required",
        },
    )


class PatientS3(S3FileSystem):
    """s3fs, with one way to try again, exact ranges, and errors that say whose fault it is.

    FileNotFoundError (no such object) and PermissionError (access to this object is denied) are definite. StorageRefusal is
    raised for what is the matter with the credentials, the clock or the bucket; StorageFailure when patience is used up.
    """

    retries = 1

    async def _call_s3(self, method: str, *defaults: dict, **arguments: Any) -> dict:
        address = _address(arguments.get("Bucket"), arguments.get("Key") or arguments.get("Prefix"))
        return await patiently(address, partial(self._once, method, *defaults, **arguments))

    call_s3 = sync_wrapper(_call_s3)

    async def _once(self, method: str, *defaults: dict, **arguments: Any) -> dict:
        try:
            return await super()._call_s3(method, *defaults, **arguments)
        except OSError as error:
            if method not in WITH_A_BODY or answered(error)[0] not in (400, 401, 403, 404):
                raise
        asking, more = WITH_A_BODY[method]
        names = {name: arguments[name] for name in ("Bucket", "Key") if name in arguments}
        answer = await super()._call_s3(asking, *defaults, **names, **more)
        if "Body" in answer:
            answer["Body"].close()
        raise Unsound(f"{method} was refused and {asking} was not")

    async def _exists(self, path: str) -> bool:
        """Whether there is an object of that name, which a folder is not; or a bucket."""
        bucket, key, _ = self.split_path(path)
        if not key:
            return await super()._exists(path)
        try:
            await self._call_s3("head_object", Bucket=bucket, Key=key)
            return True
        except FileNotFoundError:
            return False

    exists = sync_wrapper(_exists)

    async def _cat_file(
        self, path: str, version_id: None = None, start: int | None = None, end: int | None = None
    ) -> bytes:
        """Read a whole object, or a range of it, in one answer: never a mix of two states of the object."""
        bucket, key, _ = self.split_path(path)
        part = {} if start is None and end is None else {"Range": await self._process_limits(path, start, end)}
        return (await self._get(bucket, key, **part))[1]

    async def _get(self, bucket: str, key: str, size: int | None = None, **arguments: str) -> tuple[str | None, bytes]:
        """Give an answer's ETag and its body. With `size` any other number of bytes is tried again."""

        async def attempt() -> tuple[str | None, bytes]:
            answer = await self._once("get_object", Bucket=bucket, Key=key, **arguments)
            try:
                data = await answer["Body"].read()
            finally:
                answer["Body"].close()
            if size not in (None, len(data)):
                raise Unsound(f"{len(data)} bytes came where {size} were asked for")
            return answer.get("ETag"), data

        return await patiently(_address(bucket, key), attempt)

    async def _pipe_file(self, path: str, data: bytes, **arguments: Any) -> None:
        sizes = {"chunksize": PART_BYTES, "max_concurrency": PARTS_AT_ONCE}
        for last in (False, False, True):
            try:
                return await super()._pipe_file(path, data, **sizes | arguments)
            except FileNotFoundError as error:
                # The answer to the last request of an upload was lost, and the store has closed the upload; or it was swept up.
                if last or answered(error)[1] != "NoSuchUpload":
                    raise

    async def _abort_mpu(self, bucket: str, key: str, mpu: str) -> None:
        """Try once, because what led here has been tried for long; the parts that stay are invisible."""
        with suppress(Exception):
            await self._once("abort_multipart_upload", Bucket=bucket, Key=key, UploadId=mpu)

    def create(self, path: str, data: bytes) -> bool:
        """Put an object if there is none of that name, and tell whether it is there as given now.

        If the answer to a put is lost, the next try meets the object of the first one: therefore equal bytes count as ours.
        A store that answers that it has no conditional puts (501, 400) is asked first whether the object is there, which two
        writers may do at the same moment; one that passes over the condition without a word overwrites.
        """
        try:
            self.pipe_file(path, data, mode="create")
            return True
        except OSError as error:
            status, code = answered(error)
            if status == 412 or code == "PreconditionFailed":
                return self._holds(path, data)
            if status not in (400, 501):
                raise
        if self.exists(path):
            return self._holds(path, data)
        self.pipe_file(path, data)
        return True

    def _holds(self, path: str, data: bytes) -> bool:
        try:
            return self.cat_file(path) == data
        except FileNotFoundError:  # removed since: there was one, which is what was asked
            return False

    def _open(self, path: str, mode: str = "rb", **arguments: Any) -> S3File:
        return (ObjectFile if mode == "rb" else S3File)(self, path, mode, **arguments)


class ObjectFile(S3File):
    """An object that is read in ranges, all of one state of it. Once it is open, what cannot be read stops the run."""

    def __init__(self, *arguments: Any, **named: Any):
        super().__init__(*arguments, **named)
        if self.details["type"] != "file":
            raise FileNotFoundError(f"no object, but a folder: {self.path}")

    def require(self, version: str) -> None:
        """Raise StorageFailure if the object is not in the state that a listing told by this ETag."""
        if self.details["ETag"] and _tag(version) != _tag(self.details["ETag"]):
            raise _changed(self.path)

    def _fetch_range(self, start: int, end: int) -> bytes:
        end, tag = min(end, self.size), self.details["ETag"]
        if start >= end:
            return b""
        where = f"bytes={start}-{end - 1}"
        try:
            found, data = sync(self.fs.loop, self.fs._get, self.bucket, self.key, end - start, Range=where)
        except FileNotFoundError as error:
            raise StorageFailure(f"s3://{self.path} went away while it was read. Put it back; {AGAIN}.") from error
        except PermissionError as error:
            raise StorageRefusal(
                f"s3://{self.path} can be found but not read ({_said(error)}). Allow reading it; {AGAIN}."
            ) from error
        except OSError as error:
            if answered(error)[0] == 416:  # it is shorter now
                raise _changed(self.path) from error
            raise
        # Compared here and not by If-Match, which not every store knows.
        if tag and found and _tag(found) != _tag(tag):
            raise _changed(self.path)
        return data


async def patiently(address: str, attempt: Callable[[], Awaitable[Result]]) -> Result:
    """Await an attempt, again and again while it fails of what passes. Raises StorageFailure when patience is used up."""
    until = None
    for tries in count(1):
        try:
            async with asyncio.timeout(TRY_S):
                return await attempt()
        except Exception as error:
            if not _passes(error):
                _raise_refusal(address, error)
                raise
            until = until or time.monotonic() + PATIENCE_S
            if time.monotonic() > until:
                raise StorageFailure(
                    f"{address}: the store failed for {PATIENCE_S:.0f} s, lastly with: {_said(error)}. "
                    f"When it is back, {AGAIN}."
                ) from error
            if tries == TOLD_AFTER:
                log.warning("%s: %s; trying again for up to %.0f s", address, _said(error), PATIENCE_S)
        await asyncio.sleep(_pause_s(tries))


def _pause_s(tries: int) -> float:
    """Seconds to wait after so many failures, by chance up to half as long, so that not all come back at once."""
    return min(FIRST_PAUSE_S * 2 ** (tries - 1), LONGEST_PAUSE_S) * random.uniform(0.5, 1)


def answered(error: BaseException) -> tuple[int, str]:
    """The HTTP status and the code of what a store answered; (0, "") where the error is no answer."""
    cause = error if isinstance(error, ClientError) else error.__cause__
    if not isinstance(cause, ClientError):
        return 0, ""
    code = str(cause.response.get("Error", {}).get("Code", ""))
    return cause.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0), code


def _passes(error: Exception) -> bool:
    status, code = answered(error)
    if status:
        return code in PASSING_CODES or status in PASSING_STATUS or (status >= 500 and status != 501)
    return isinstance(error, PASSING)


def _raise_refusal(address: str, error: Exception) -> None:
    """Raise StorageRefusal if an error is no matter of the one object that was asked for."""
    status, code = answered(error)
    if code in CLOCK_CODES:
        problem = f"this machine's clock and the store's differ ({_said(error)}). Set the clock"
    elif isinstance(error, NO_CREDENTIALS):
        problem = f"there are no credentials ({_said(error)}). Give them, for example in AWS_ACCESS_KEY_ID and "
        problem += "AWS_SECRET_ACCESS_KEY"
    elif status == 401 or code in CREDENTIALS_CODES or (status == 403 and code not in ABOUT_ONE_OBJECT):
        problem = f"the store refuses the credentials ({_said(error)}). Renew them"
    elif code == "NoSuchBucket":
        problem = f"there is no such bucket ({_said(error)}). Make it, or correct the address"
    else:
        return
    raise StorageRefusal(f"{address}: {problem}; {AGAIN}.") from error


def _said(error: Exception) -> str:
    """Tell what happened without the texts of the store or of a library: they may repeat keys and signed addresses."""
    status, code = answered(error)
    if status:
        return f"{code}, HTTP status {status}" if re.fullmatch(r"[A-Za-z.]{1,60}", code) else f"HTTP status {status}"
    if isinstance(error, Unsound):
        return str(error)
    if isinstance(error, TimeoutError | botocore.exceptions.ReadTimeoutError):
        return "no answer in time"
    if isinstance(error, botocore.exceptions.EndpointConnectionError | botocore.exceptions.ConnectTimeoutError):
        return "no connection"
    return type(error).__name__


def _changed(path: str) -> StorageFailure:
    return StorageFailure(
        f"s3://{path} has changed since the run began; rows of both would stand beside each other. Put the old file back and "
        "run the same command again, or begin anew with another output.path."
    )


def _tag(etag: str) -> str:
    return etag.removeprefix("W/").strip('"')


def _address(bucket: str | None, key: str | None) -> str:
    return f"s3://{bucket}/{key}" if key else f"s3://{bucket or ''}"

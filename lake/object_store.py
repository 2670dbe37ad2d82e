"""The door to buckets: one file system per bucket, and its errors as sentences. Who reads or writes there is elsewhere.

Credentials, region and endpoint are looked up by pyarrow and by delta-rs themselves, in the places that every tool for
S3 knows: `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`, `AWS_REGION`, `AWS_ENDPOINT_URL`,
`AWS_PROFILE`, `~/.aws`, the role of a pod or machine. So no secret passes through our own objects, logs or errors, and
a command that another one starts has them too.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import pyarrow as pa
import pyarrow.fs as pafs

from schemas.errors import MeltlakeError, TryAgainLater

_SCHEME = "s3://"
_LONGEST_QUOTE = 300

_SILENCE = ("NETWORK_CONNECTION", "error sending request", "operation timed out", "SLOW_DOWN", "ServiceUnavailable")
_REASONS: tuple[tuple[tuple[str, ...], str, str], ...] = (
    (
        ("Path does not exist",),
        "there is nothing there",
        "Check the address: S3 tells upper from lower case.",
    ),
    (
        ("NO_SUCH_BUCKET", "NoSuchBucket", "Bucket '"),
        "there is no such bucket",
        "Check its name, and AWS_ENDPOINT_URL if it is not on AWS; meltlake makes no buckets.",
    ),
    (
        (
            "ACCESS_DENIED",
            "AccessDenied",
            "INVALID_ACCESS_KEY",
            "SIGNATURE",
            "status 403",
            "403 Forbidden",
            "credentials",
        ),
        "the object store refuses access",
        "Check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (or AWS_PROFILE), and what they may do in this bucket.",
    ),
)

_BLOCK_BYTES = 8 << 20
"""One request to a store brings this much: at 30 ms a request, less would be waiting rather than reading."""


def bucket_path(uri: str) -> str:
    """`bucket/key` of an address.

    Raises
    ------
    MeltlakeError
        If it is not one of S3, or names no bucket.
    """
    path = uri.removeprefix(_SCHEME).strip("/")
    if not uri.startswith(_SCHEME) or not path:
        raise MeltlakeError(
            f"{uri}: needed a path on this machine or s3://bucket/prefix.",
            "Other stores can be mounted, or reached through a gateway that speaks S3 (AWS_ENDPOINT_URL).",
        )
    return path


def file_system(uri: str) -> pafs.FileSystem:
    """The file system of an address's bucket."""
    bucket = bucket_path(uri).partition("/")[0]
    with told_as_a_sentence(uri):
        return _of_bucket(bucket)


@cache
def _of_bucket(bucket: str) -> pafs.FileSystem:
    # From a URI, not S3FileSystem(): only this way pyarrow looks at AWS_ENDPOINT_URL and asks where a bucket is.
    # With allow_delayed_open a small file takes one request instead of three.
    return pafs.FileSystem.from_uri(f"{_SCHEME}{bucket}?allow_delayed_open=true")[0]


def entry(uri: str) -> pafs.FileInfo:
    """What is at an address: a file, a folder or nothing.

    Raises
    ------
    MeltlakeError
        If the bucket is not there or may not be read: a store says of each thing in it just that it is not there.
    """
    with told_as_a_sentence(uri):
        found = file_system(uri).get_file_info(bucket_path(uri))
        if found.type == pafs.FileType.NotFound:
            below(uri)
        return found


def below(uri: str, *, recursive: bool = False) -> list[pafs.FileInfo]:
    """Files and folders below an address, sorted; none where there is nothing."""
    selector = pafs.FileSelector(bucket_path(uri), recursive=recursive)
    with told_as_a_sentence(uri):
        try:
            return sorted(file_system(uri).get_file_info(selector), key=lambda info: info.path)
        except FileNotFoundError:  # for a bucket that is not there it is another error
            return []


@contextmanager
def told_as_a_sentence(uri: str) -> Iterator[None]:
    """Errors of a store become sentences that a person can act on; those of this machine's disk pass.

    Raises
    ------
    MeltlakeError
        If the store refused.
    TryAgainLater
        If it did not answer.
    """
    try:
        yield
    except OSError as error:
        if not uri.startswith(_SCHEME):
            raise
        raise _sentence(uri, str(error)) from error


def _sentence(uri: str, said: str) -> MeltlakeError:
    if any(word in said for word in _SILENCE):
        return TryAgainLater(
            f"{uri}: the object store does not answer.",
            "Check AWS_ENDPOINT_URL, AWS_REGION and the network, then run the same command again.",
        )
    for words, problem, remedy in _REASONS:
        if any(word in said for word in words):
            return MeltlakeError(f"{uri}: {problem}.", remedy)
    # delta-rs draws a tree in colours.
    plain = " ".join(re.sub(r"\x1b\[\d+m|↳", " ", said).split())[:_LONGEST_QUOTE]
    return MeltlakeError(f"{uri}: the object store said: {plain}.", "Check the address and your access to it.")


class ObjectStream:
    """An object read front to back, a large block at a time."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        with told_as_a_sentence(uri):
            self._stream: pa.NativeFile = file_system(uri).open_input_stream(
                bucket_path(uri), compression=None, buffer_size=_BLOCK_BYTES
            )

    def readinto(self, memory: memoryview, /) -> int:
        with told_as_a_sentence(self._uri):
            return int(self._stream.readinto(memory))

    def close(self) -> None:
        self._stream.close()

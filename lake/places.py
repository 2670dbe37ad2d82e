"""Where tables lie: a folder on this machine or a prefix in a bucket, and what differs between the two.

What a table is made of belongs in `delta_log`; raw files, which are only read, in `raw_store`.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow.fs as pafs

from lake.object_store import below, bucket_path, file_system, told_as_a_sentence
from lake.parquet import flush_to_disk, make_folder
from lake.raw_store import is_remote

_LOCAL = pafs.LocalFileSystem()
_S3_OPTIONS = {
    # The endpoint says http or https itself; delta-rs asks for the consent a second time.
    "allow_http": "true",
    # A store that does not answer is asked for three minutes otherwise.
    "connect_timeout": "5s",
    "timeout": "60s",
    "retry_timeout": "60s",
}


@dataclass(frozen=True, slots=True)
class Stored:
    """A file that lies there, whether a commit refers to it or not."""

    path: str
    """Below the place, with `/`."""
    n_bytes: int
    age_s: float


@dataclass(frozen=True, slots=True)
class Place:
    """A folder (absolute path) or a prefix (`s3://bucket/prefix`) that holds files."""

    address: str

    @property
    def is_remote(self) -> bool:
        return is_remote(self.address)

    @property
    def uri(self) -> str:
        """As delta-rs takes it: in a plain path it takes `%20` for a blank and `#` for the end."""
        return self.address if self.is_remote else Path(self.address).as_uri()

    @property
    def storage_options(self) -> dict[str, str] | None:
        """How delta-rs is to talk to the store; credentials it finds as pyarrow does."""
        return dict(_S3_OPTIONS) if self.is_remote else None

    @property
    def path(self) -> str:
        """As pyarrow's file systems take it."""
        return bucket_path(self.address) if self.is_remote else self.address

    @property
    def file_system(self) -> pafs.FileSystem:
        return file_system(self.address) if self.is_remote else _LOCAL

    def child(self, name: str) -> "Place":
        return Place(self.address_of(name))

    def address_of(self, path: str) -> str:
        """Address of a file below this place."""
        return f"{self.address}/{path}"

    def make(self) -> None:
        """Make the folder; a bucket has none."""
        if not self.is_remote:
            make_folder(Path(self.address))

    def has_folder(self, name: str) -> bool:
        """Whether there is such a folder below; in a bucket, any file in it."""
        return bool(below(self.address_of(name))) if self.is_remote else Path(self.address, name).is_dir()

    def stored(self) -> Iterator[Stored]:
        """Every file below, however deep."""
        selector = pafs.FileSelector(self.path, recursive=True, allow_not_found=True)
        found = below(self.address, recursive=True) if self.is_remote else _LOCAL.get_file_info(selector)
        for info in found:
            if info.is_file:
                yield Stored(info.path.removeprefix(f"{self.path}/"), info.size, _age_s(info))

    def receive(self, local: Path, path: str) -> None:
        """Take a copy of a local file, all or nothing."""
        with told_as_a_sentence(self.address):
            pafs.copy_files(
                str(local),
                f"{self.path}/{path}",
                source_filesystem=_LOCAL,
                destination_filesystem=self.file_system,
            )

    def delete(self, path: str, *, older_than_s: float) -> bool:
        """Remove a file unless somebody has written it lately; whether it was removed."""
        with told_as_a_sentence(self.address):
            found = self.file_system.get_file_info(f"{self.path}/{path}")
            if not found.is_file or _age_s(found) < older_than_s:
                return False
            self.file_system.delete_file(f"{self.path}/{path}")
            return True

    def make_durable(self, *paths: str) -> None:
        """Fsync files or folders below; an object store has done it when it answers."""
        if not self.is_remote:
            flush_to_disk(*(Path(self.address, path) for path in paths))


def _age_s(found: pafs.FileInfo) -> float:
    return float(time.time() - found.mtime_ns / 1e9)

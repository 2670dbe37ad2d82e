"""Where things are. One object, made once by the command line; nothing else of ours looks at the environment.

How to reach a bucket is not among them: the libraries that talk to it know the names `AWS_*` (see `lake.object_store`).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict

HOME = Path(".meltlake")
PLACES = ("lake", "landing", "warehouse", "home")
"""What may be set, as options (`--lake`) and in the environment (`MELTLAKE_LAKE`)."""


class Settings(BaseModel):
    """Locations of the lake, the landing zone, the published warehouse, and of everything else.

    The lake is a folder or `s3://bucket/prefix`. What belongs to a lake and is not a table of it (`campaign.toml`,
    reports, training sets, potentials) lies in the home folder, which programs reach as files: beside a lake in a
    folder, and in `.meltlake/buckets` of the working directory for a lake in a bucket, unless it is named.
    """

    model_config = ConfigDict(frozen=True)

    lake: str = str(HOME / "lake")
    landing: str = str(HOME / "landing")
    warehouse: str = ""
    home_folder: str = ""

    @classmethod
    def from_mapping(cls, environment: Mapping[str, str], **options: str | None) -> Self:
        """Options (`lake`, `landing`, `warehouse`, `home`) win over `MELTLAKE_LAKE` ..., those over defaults."""
        chosen = {name: environment.get(f"MELTLAKE_{name.upper()}") for name in PLACES}
        chosen |= {name: value for name, value in options.items() if value}
        chosen["home_folder"] = chosen.pop("home")
        settings = cls(**{name: value for name, value in chosen.items() if value})
        return settings.model_copy(update={"warehouse": settings.warehouse or str(settings.home / "warehouse.duckdb")})

    @property
    def home(self) -> Path:
        """Folder of warehouse, reports, `campaign.toml` and the embedded Airflow: beside the lake, if that is local."""
        if self.home_folder:
            return Path(self.home_folder)
        return self._beside_bucket if self._is_remote else Path(self.lake).parent

    @property
    def artifacts(self) -> Path:
        """Training sets, potentials and simulations: files that tables point to, always on this machine."""
        return self.home / "artifacts" if self._is_remote else Path(self.lake) / "artifacts"

    @property
    def _beside_bucket(self) -> Path:
        """One folder per lake, so that no two of them share a warehouse."""
        return HOME / "buckets" / self.lake.partition("://")[2].strip("/")

    @property
    def _is_remote(self) -> bool:
        return "://" in self.lake

    @property
    def environment(self) -> dict[str, str]:
        """The same settings as environment variables with absolute paths, for a process started elsewhere."""
        values = (self.lake, self.landing, self.warehouse, str(self.home))
        return {f"MELTLAKE_{name.upper()}": _absolute(value) for name, value in zip(PLACES, values, strict=True)}


def _absolute(location: str) -> str:
    return location if "://" in location else str(Path(location).absolute())

"""The synthetic AIMD of the study: melts of the toy potential in VASP's layout, and the sizes that it is run at.

Nothing here is a calculation. One run is made by `python -m tests.study.melts FOLDER COMPOSITION N_ATOMS N_FRAMES`.
"""

import re
import sys
from dataclasses import dataclass
from itertools import combinations_with_replacement
from pathlib import Path

from operators.toy_melt import ToyMeltRequest, generate
from schemas.composition import parse_composition

TRAINED = ("Al100", "Al50Cu50", "Al50Ni50", "Al60Cu20Ni20", "Cu50Ni50")
HELD_OUT = ("Al50Cu25Ni25", "Al70Cu20Ni10")
"""Both 10 at.% from the nearest melt that is learnt, as held-out melts of a real study are."""
COMPOSITIONS = (*TRAINED, *HELD_OUT)

NEVER_MET = "Al50Ni50"
"""What the blind potentials have never seen the like of: no melt that they learn has both of its elements."""
BLIND = tuple(name for name in TRAINED if not {"Al", "Ni"} <= parse_composition(name).keys())

CAMPAIGN = Path(__file__).with_name("campaign.toml")


@dataclass(frozen=True, slots=True)
class Size:
    """How much is made of everything."""

    n_atoms: int = 100
    n_frames: int = 4000
    """Of each AIMD run, 5 fs apart: 20 ps, blocks of which are longer than what a melt remembers."""
    n_training_steps: int | None = None
    """None leaves what campaign.toml says."""
    n_npt_steps: int = 8_000
    """At constant pressure, after half as many that do not count; a twin is as long as its AIMD run."""

    @property
    def campaign(self) -> str:
        """The text of campaign.toml."""
        text = CAMPAIGN.read_text(encoding="utf-8")
        if self.n_training_steps is None:
            return text
        return re.sub(r"^n_steps = \d+", f"n_steps = {self.n_training_steps}", text, flags=re.MULTILINE)


WHOLE = Size()
REHEARSAL = Size(n_atoms=60, n_frames=120, n_training_steps=60, n_npt_steps=150)
"""Every command once, in minutes; far too little for a verdict."""


def curves(composition: str) -> list[str]:
    """Names of what is compared of a melt, as the table `agreement` has them.

    The total g(r) is not among them: it has the partial ones' differences over a third of their floor.
    """
    elements = sorted(parse_composition(composition))
    pairs = combinations_with_replacement(elements, 2)
    return [*(f"rdf {one}-{other}" for one, other in pairs), *(f"vacf {element}" for element in elements)]


def make(landing: Path, composition: str, *, n_atoms: int, n_frames: int) -> None:
    """One melt in the landing zone, found when it is there."""
    folder = landing / f"synthetic-{composition}"
    if folder.exists():
        return
    number = COMPOSITIONS.index(composition) + 1
    request = ToyMeltRequest(
        composition=composition, n_atoms=n_atoms, n_frames=n_frames, seed=number, source_format="outcar"
    )
    generate(folder, request)


if __name__ == "__main__":
    make(Path(sys.argv[1]), sys.argv[2], n_atoms=int(sys.argv[3]), n_frames=int(sys.argv[4]))

"""The truth of the study as a potential of the lake, so that `simulate` runs it by the protocols of all others.

It is the table that the synthetic AIMD was made with; no person has that in a real study.
"""

from lake.delta import Lake
from operators.physics import toy_potential
from operators.potentials.model_file import file_sha256
from schemas.settings import Settings

TRUTH = "truth"


def bring_truth(settings: Settings) -> None:
    """The table's file and its row in `potentials`, written unless they are there."""
    table = settings.artifacts.absolute() / "potentials" / TRUTH / "MLK.eam.alloy"
    if not table.exists():
        table.parent.mkdir(parents=True, exist_ok=True)
        unfinished = table.with_suffix(".tmp")
        unfinished.write_text(toy_potential.setfl(), encoding="ascii")
        unfinished.replace(table)
    row = {
        "recipe": TRUTH,
        "training_set_id": "none",
        "seed": 1,
        "backend": "eam/alloy",
        "precision": "float64",
        "compressed": False,
        "type_map": list(toy_potential.ELEMENTS),
        "path": str(table),
        "sha256": file_sha256(table),
    }
    lake = Lake(settings.lake)
    if not lake.rows("potentials", key=TRUTH).num_rows:
        lake.replace("potentials", TRUTH, [row])

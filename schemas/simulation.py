"""What a person asks for when a potential is run, what is then decided, and what is kept beside the trajectory.

Choosing the start frame and writing LAMMPS input belong in `operators`.
"""

from math import ceil
from typing import Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, field_validator

from schemas.composition import canonical_composition, composition
from schemas.elements import atomic_number
from schemas.frames import Ensemble
from schemas.ids import content_id

Protocol = Literal["twin", "nvt", "npt", "nve", "performance"]
Outcome = Literal["running", "finished", "unphysical"]

PROTOCOLS: tuple[Protocol, ...] = get_args(Protocol)

N_ATOMS_TIMED = 4096
"""Size at which the paper times its potentials."""

WARM_UP_STEPS = 200
"""Steps of a `performance` run that are not timed: the first ones allocate memory and fill caches."""

_LONGEST_PRESSURE_SAMPLE_FS = 5.0
"""A melt's stress forgets itself in some 100 fs; what a viscosity integrates must be sampled much finer."""
_STEPS_PER_DEVIATION = 100
"""Of a committee all potentials are computed then: three siblings cost 3 percent."""
_FEWEST_DEVIATIONS = 20


class SimulationRequest(BaseModel):
    """A simulation as it is asked for; what is left None is decided by the protocol and by the run it starts from.

    `twin` repeats an AIMD run (its cell, temperature, time step, number of frames); `nvt` and `npt` measure properties;
    `nve` lets go of the thermostat after equilibration and shows how well energy is conserved; `performance` times the
    potential and keeps no trajectory.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    protocol: Protocol
    composition: str
    temperature_k: float | None = Field(default=None, gt=0)
    n_steps: int | None = Field(default=None, gt=0)
    """Steps after equilibration; for a twin an upper bound."""
    equilibration_fs: float | None = Field(default=None, ge=0)
    replicate: int | None = Field(default=None, ge=1, le=16)
    """Copies of the start cell along each of its vectors."""
    seed: int = Field(default=1, ge=1, le=900_000_000)
    sample_fs: float | None = Field(default=None, gt=0)
    time_step_fs: float | None = Field(default=None, gt=0)
    pressure_gpa: float = 0.0

    @field_validator("composition")
    @classmethod
    def _is_canonical(cls, label: str) -> str:
        return canonical_composition(label)


class SimulationPlan(BaseModel):
    """A request with everything decided. It names the run, so two requests that come to the same are one simulation."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    protocol: Protocol
    composition: str
    temperature_k: float = Field(gt=0)
    time_step_fs: float = Field(gt=0)
    n_equilibration_steps: int = Field(ge=0)
    n_production_steps: int = Field(gt=0)
    steps_per_frame: int = Field(gt=0)
    replicate: int = Field(ge=1)
    seed: int
    pressure_gpa: float

    @property
    def ensemble(self) -> Ensemble:
        """Of what is kept; an `nve` run is equilibrated with a thermostat, too."""
        ensembles: dict[Protocol, Ensemble] = {"npt": "npt", "nve": "nve"}
        return ensembles.get(self.protocol, "nvt")

    @property
    def n_steps(self) -> int:
        """All steps, equilibration included."""
        return self.n_equilibration_steps + self.n_production_steps

    @property
    def sample_fs(self) -> float:
        """Time between saved frames."""
        return self.steps_per_frame * self.time_step_fs

    @property
    def keeps_frames(self) -> bool:
        return self.protocol != "performance"

    @property
    def steps_per_pressure(self) -> int | None:
        """Steps between pressure tensors, which a viscosity is computed from; None where none are kept."""
        if self.protocol not in ("nvt", "nve"):
            return None
        return max(1, int(_LONGEST_PRESSURE_SAMPLE_FS / self.time_step_fs + 1e-9))

    @property
    def steps_per_deviation(self) -> int:
        """Steps between two looks at the committee; each is at a saved frame."""
        n_frames = self.n_production_steps // self.steps_per_frame
        frames = min(ceil(_STEPS_PER_DEVIATION / self.steps_per_frame), max(1, n_frames // _FEWEST_DEVIATIONS))
        return frames * self.steps_per_frame


class StartFrame(BaseModel):
    """Where a simulation starts: a frame of the lake, and how it was changed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    parent_run_id: str
    frame: int
    parent_composition: str
    """Differs from the simulation's composition when atoms were exchanged for other elements."""
    scale_to_mean: float | None = None
    """Its cell was scaled by this to the mean volume of a run at constant pressure; None: it was not."""


class StartTest(BaseModel):
    """The start frame as LAMMPS, the potential itself and DFT have it; None where two were not compared."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    energy_difference_mev_per_atom: float | None = None
    """LAMMPS and the potential itself, as the next two."""
    force_difference_mev_per_angstrom: float | None = None
    """Largest component."""
    pressure_difference_gpa: float | None = None
    """Largest component of the tensor, without its kinetic part."""
    force_rmse_ev_per_angstrom: float | None = None
    """Of the potential's forces against DFT's, on the frame that the start was made from."""
    force_error_frac: float | None = None
    """The same over the root mean square of DFT's forces: 1 is no better than no forces."""
    note: str | None = None
    """Why something was not compared."""


class SimulationCard(BaseModel):
    """`simulation.json`: what a folder with a simulation is. It makes the folder a run that the lake can take in."""

    model_config = ConfigDict(extra="forbid")

    run_id: str
    potential_id: str
    potential_sha256: str
    plan: SimulationPlan
    start: StartFrame
    type_map: tuple[str, ...]
    """Element of LAMMPS type 1, 2, ..."""
    counts: dict[str, int]
    n_atoms: int
    synthetic: bool = False
    """The run it starts from is synthetic."""
    outcome: Outcome = "running"
    reason: str | None = None
    """Why a run is unphysical."""
    is_refused: bool = False
    """It was called unphysical for its start frame, before anything moved."""
    n_exchanged: int | None = None
    """Atoms of the start frame that became another element, copies not counted; None on older cards."""
    committee: tuple[str, ...] = ()
    """Potentials of other seeds that are asked now and then; they do not move the atoms."""
    committee_left_out: tuple[str, ...] = ()
    """Those whose models were gone when the simulation went on after a kill: they were asked until then."""
    start_energy_ev: float | None = None
    """Potential energy of the start frame, as LAMMPS computes it."""
    start_test: StartTest | None = None
    ns_per_day: float | None = None
    n_steps_timed: int = 0
    n_steps_done: int = 0
    """Steps from the start frame on, equilibration included."""
    lammps_version: str | None = None
    hardware: str | None = None
    wall_seconds: float = 0.0
    """Time spent in LAMMPS, over every session that was not killed outright."""

    @property
    def atomic_number_of_type(self) -> dict[int, int]:
        return {number: atomic_number(symbol) for number, symbol in enumerate(self.type_map, start=1)}

    @property
    def told_outcome(self) -> str:
        """With the reason, as tables have it."""
        return self.outcome if self.reason is None else f"{self.outcome}: {self.reason}"

    @property
    def is_exchanged(self) -> bool:
        """Whether atoms of the start frame were exchanged for other elements."""
        if self.n_exchanged is not None:
            return self.n_exchanged > 0
        return self.start.parent_composition != self.plan.composition

    @property
    def composition(self) -> str:
        """Of its atoms, as the run has it: whole atoms may give another label than what was asked for."""
        return composition(self.counts)

    @classmethod
    def new(
        cls, plan: SimulationPlan, start: StartFrame, *, potential_id: str, potential_sha256: str, **rest: object
    ) -> Self:
        """A card for a simulation that has not run; its name follows from potential, model file, plan and start."""
        definition = {
            "potential": potential_id,
            "model": potential_sha256,
            "type_map": rest.get("type_map"),
            "plan": plan.model_dump(),
            "start": start.model_dump(exclude_none=True),
        }
        return cls.model_validate(
            {
                "run_id": content_id(definition),
                "potential_id": potential_id,
                "potential_sha256": potential_sha256,
                "plan": plan,
                "start": start,
                **rest,
            }
        )

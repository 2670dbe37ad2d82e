"""What a reader gives: a run's header, batches of frames, and how the reading ended. No files, no formulas."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Literal, Protocol, Self

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int32]


class Vectors(Protocol):
    """A vector of every atom in every frame of a run, of which a few frames at a time are in memory.

    Duties: `batches` goes over all frames from the first one, each exactly once and in order, as often as it is called;
    it gives (n_some, n_atoms, 3), which nobody looks at any more when asking for the next.
    """

    @property
    def shape(self) -> tuple[int, ...]:
        """(n_frames, n_atoms, 3)."""
        ...

    def __len__(self) -> int: ...

    def batches(self) -> Iterator[Floats]: ...


Ensemble = Literal["nve", "nvt", "npt", "relaxation", "static", "unknown"]
ScfVerdict = Literal["converged", "converged_at_nelm", "unconverged", "suspect", "unknown"]
"""`suspect`: the loop ended at NELM and the file does not tell how small its last change was."""
CONVERGED = ("converged", "converged_at_nelm")
LabelSource = Literal["dft", "vasp_mlff", "none"]
UNPHYSICAL = "unphysical"
"""How the outcome of a simulation begins that a guard stopped, or that could not begin; its reason follows."""


@dataclass(frozen=True, slots=True)
class LevelOfTheory:
    """What makes two energies comparable; unknown parts are None."""

    functional: str | None = None
    encut_ev: float | None = None
    ismear: int | None = None
    sigma_ev: float | None = None
    ispin: int | None = None
    k_points: str | None = None
    vdw: str | None = None
    dft_u: str | None = None
    """Type, and orbital, U and J of every element with DFT+U, eV; None without."""
    spin_orbit: str | None = None
    """`LSORBIT` or `LNONCOLLINEAR`; None for collinear spins."""
    precision: str | None = None
    """PREC; None for normal."""
    real_space: str | None = None
    """How projectors were brought to real space (LREAL: auto, on, T); None for reciprocal space."""
    aspherical: bool | None = None
    """LASPH; None when off."""
    machine_learned: str | None = None
    """How VASP's own force field took part (`on the fly`, `refit`, `run`); None without. Not part of the label: frames
    that the force field labelled are told apart by `label_source`."""
    energy_kind: str | None = None
    """What the energy is, where the file does not say it is the free energy; None for the free energy."""
    potcar_titles: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """The part that is common to runs of different elements, as one line; POTCAR titles are compared apart."""
        return " ".join(f"{key}={value}" for key, value in self.parts.items() if value is not None) or "unknown"

    @property
    def parts(self) -> dict[str, str | None]:
        """What the label says, by the names that a user of VASP knows; what is unknown or at its default is None."""
        return {
            "functional": self.functional,
            "ENCUT": _plain(self.encut_ev),
            "ISMEAR": _plain(self.ismear),
            "SIGMA": _plain(self.sigma_ev),
            "ISPIN": _plain(self.ispin),
            "k-points": self.k_points,
            "vdW": self.vdw,
            "DFT+U": self.dft_u,
            "spins": self.spin_orbit,
            "PREC": self.precision,
            "LREAL": self.real_space,
            "LASPH": "T" if self.aspherical else None,
            "energy": self.energy_kind,
        }


def _plain(number: float | int | None) -> str | None:
    return None if number is None else f"{number:g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunHeader:
    """What holds for every frame of a run."""

    source_format: str
    atomic_numbers: NDArray[np.int8]
    """(n_atoms,), in the order of the file."""
    ensemble: Ensemble = "unknown"
    code_version: str | None = None
    """VASP's version for an AIMD run, LAMMPS's for a simulation."""
    time_step_fs: float | None = None
    """Time between consecutive ionic steps; None when the run is not molecular dynamics."""
    temperature_target_k: float | None = None
    external_pressure_target_kbar: float = 0.0
    enmax_ev: float | None = None
    """Largest ENMAX of the POTCARs; None where the file does not tell that of each."""
    nelm: int | None = None
    ediff_ev: float | None = None
    isif: int | None = None
    level_of_theory: LevelOfTheory = LevelOfTheory()
    synthetic: bool = False
    origin: Literal["aimd", "dnnp"] = "aimd"
    potential_id: str | None = None
    """The potential that drove a simulation; None for AIMD."""
    protocol: str | None = None
    """The simulation protocol (twin, nvt, npt, nve, performance); None for AIMD."""
    parent_run_id: str | None = None
    """The AIMD run whose frame a simulation started from; None for AIMD."""
    outcome: str | None = None
    """Of a simulation: finished, running, or unphysical with the reason; None for AIMD."""
    run_id: str | None = None
    """Set by files that know their run (a simulation); None lets the lake name the run by content."""

    @property
    def n_atoms(self) -> int:
        return len(self.atomic_numbers)


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameBatch:
    """Consecutive frames of one run. The first axis of every array is the frame; NaN means "not in the file".

    Nothing is left out: a frame that must not be trained on is here with its `faults`.
    """

    ionic_step: Integers
    """(n_frames,), as counted by the file, from 1."""
    segment: Integers
    """(n_frames,), 0 for the first run in a file, 1 for the next one appended to it, and so on."""
    cell_angstrom: Floats
    """(n_frames, 3, 3), rows a, b, c."""
    positions_angstrom: Floats
    """(n_frames, n_atoms, 3), Cartesian, as the file has them (not wrapped)."""
    forces_ev_per_angstrom: Floats
    """(n_frames, n_atoms, 3)."""
    energy_ev: Floats
    """(n_frames,), the free energy, conjugate to the forces."""
    energy_sigma0_ev: Floats
    energy_without_entropy_ev: Floats
    virial_ev: Floats
    """(n_frames, 3, 3), positive trace when the melt pushes outward; no ionic kinetic part."""
    virial_trace_ev: Floats
    """(n_frames,), of the same virial; with ISIF = 1 it is all that is known of it."""
    temperature_k: Floats
    scf_steps: Integers
    """(n_frames,), electronic steps; -1 where unknown."""
    scf_verdict: NDArray[np.str_]
    """(n_frames,), one of `ScfVerdict`."""
    label_source: NDArray[np.str_]
    """(n_frames,), one of `LabelSource`."""
    faults: tuple[tuple[str, ...], ...]
    """One tuple of reason codes per frame, such as `forces_not_finite`; empty when the frame was read whole."""
    velocities_angstrom_per_fs: Floats | None = None
    """(n_frames, n_atoms, 3); None when the file stores none."""
    magnetic_moments_mu_b: Floats | None = None
    """(n_frames, n_atoms) for collinear spins or (n_frames, n_atoms, 3); None when the file stores none."""
    conserved_energy_ev: Floats | None = None
    """(n_frames,), what the dynamics conserve: free energy, kinetic energy and the thermostat's own, without PV. NaN in
    a run whose dynamics conserve nothing, such as Langevin's; None when the format stores none."""
    printed_pressure_kbar: Floats | None = None
    """(n_frames,), printed beside the stress, with PSTRESS added back: a third of the stress's trace. None when the
    format prints none."""

    def __post_init__(self) -> None:
        n_frames, n_atoms = self.positions_angstrom.shape[:2]
        shapes = {
            "ionic_step": (n_frames,),
            "segment": (n_frames,),
            "cell_angstrom": (n_frames, 3, 3),
            "positions_angstrom": (n_frames, n_atoms, 3),
            "forces_ev_per_angstrom": (n_frames, n_atoms, 3),
            "energy_ev": (n_frames,),
            "energy_sigma0_ev": (n_frames,),
            "energy_without_entropy_ev": (n_frames,),
            "virial_ev": (n_frames, 3, 3),
            "virial_trace_ev": (n_frames,),
            "temperature_k": (n_frames,),
            "scf_steps": (n_frames,),
            "scf_verdict": (n_frames,),
            "label_source": (n_frames,),
        }
        for name, shape in shapes.items():
            if (found := getattr(self, name).shape) != shape:
                raise ValueError(f"FrameBatch.{name}: needed shape {shape}, found {found}")
        if len(self.faults) != n_frames:
            raise ValueError(f"FrameBatch.faults: needed {n_frames} entries, found {len(self.faults)}")
        for name in ("conserved_energy_ev", "printed_pressure_kbar"):
            if (values := getattr(self, name)) is not None and values.shape != (n_frames,):
                raise ValueError(f"FrameBatch.{name}: needed shape {(n_frames,)}, found {values.shape}")
        velocities = self.velocities_angstrom_per_fs
        if velocities is not None and velocities.shape != (n_frames, n_atoms, 3):
            raise ValueError(f"FrameBatch.velocities_angstrom_per_fs: found shape {velocities.shape}")
        moments = self.magnetic_moments_mu_b
        if moments is not None and moments.shape not in {(n_frames, n_atoms), (n_frames, n_atoms, 3)}:
            raise ValueError(f"FrameBatch.magnetic_moments_mu_b: found shape {moments.shape}")

    @property
    def n_frames(self) -> int:
        return len(self.energy_ev)


@dataclass(slots=True)
class ReadingOutcome:
    """How the reading of a file ended; complete only after the last batch was taken."""

    complete: bool = False
    """The file ends where its program ends it; False for a killed, cut or still growing run."""
    n_ionic_steps: int = 0
    """Ionic steps that were begun, whether or not a complete frame came of them."""
    n_energy_only: int = 0
    """Steps with an energy but without positions or forces (VASP with NWRITE = 0)."""
    n_incomplete: int = 0
    """Steps that were begun and never finished."""
    notes: list[str] = field(default_factory=list)
    """Sentences about the file that a person should know."""


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Identity of a file that was read to its end."""

    raw_sha256: str
    """Of the file's own bytes."""
    raw_bytes: int
    content_sha256: str
    """Of the decompressed bytes; equal to `raw_sha256` for a plain file."""
    content_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Bookmark:
    """Where the reading of a file that VASP may still be writing can go on."""

    offset: int
    """Bytes of content that need not be parsed again; a frame begins behind them."""
    n_frames: int
    """Frames that end before the offset. They are final: nothing that is written later changes them."""
    parser_state: dict[str, object]
    """What the reader knew at the offset, in JSON's types; only the reader that made it understands it."""
    content_bytes: int
    """How much of the content was there when the bookmark was made; never less than `offset`."""
    content_sha256: str
    """Of those bytes: a file that was replaced in between has others."""


class RunReader(Protocol):
    """One opened run: a header, its frames in file order, and, after the last batch, the outcome.

    Duties: yield every complete frame exactly once and in file order; flag what must not be trained on instead
    of leaving it out; keep memory flat in the size of the file; raise `UnreadableFile` for a file that holds
    no frame that can be trusted, with a reason that a person understands.
    """

    header: RunHeader
    outcome: ReadingOutcome

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def batches(self) -> Iterator[FrameBatch]: ...

    def fingerprint(self) -> Fingerprint:
        """Identity of the file; reads whatever is left of it."""
        ...

    def bookmark(self) -> Bookmark | None:
        """Where to go on when the file has grown, after the last batch; None where a format must be read whole."""
        ...

    def raw_bytes_read(self) -> int:
        """How much of the raw file went by so far, for a person who waits."""
        ...

    def head_sha256(self) -> str:
        """Of the text before the first frame (or what stands for it): the same however far the file has grown."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Trajectory:
    """The ordered frames of one run, as observables need them. Rejected frames stay on the time axis.

    Averages are taken over the `averaged` frames only. Numbers per frame are in memory, those per atom are too where
    the run is small: `operators.physics.vectors` goes over either a few frames at a time.
    """

    run_id: str
    atomic_numbers: NDArray[np.int8]
    """(n_atoms,)."""
    time_fs: Floats
    """(n_frames,); NaN when the run has no time axis."""
    cell_angstrom: Floats
    """(n_frames, 3, 3)."""
    positions_angstrom: Floats | Vectors
    """(n_frames, n_atoms, 3)."""
    energy_ev: Floats
    virial_trace_ev: Floats
    """(n_frames,); NaN when the run has no stress."""
    temperature_k: Floats
    accepted: NDArray[np.bool_]
    """(n_frames,), what the gate said; of frames without any label, what it said of their positions."""
    label_source: NDArray[np.str_]
    """(n_frames,), one of `LabelSource`."""
    velocities_angstrom_per_fs: Floats | Vectors | None = None
    equilibrated_from_fs: float | None = None
    """Time from which averages are taken; None for all of it."""

    @property
    def n_frames(self) -> int:
        return len(self.energy_ev)

    @property
    def averaged(self) -> NDArray[np.bool_]:
        """(n_frames,), frames that the run's averages are taken over: accepted, equilibrated, and no force field's."""
        averaged: NDArray[np.bool_] = self.accepted & self._equilibrated & (self.label_source != "vasp_mlff")
        return averaged

    @property
    def _equilibrated(self) -> NDArray[np.bool_]:
        if self.equilibrated_from_fs is None:
            return np.ones(self.n_frames, dtype=bool)
        equilibrated: NDArray[np.bool_] = ~(self.time_fs < self.equilibrated_from_fs - 1e-6)
        return equilibrated

    @property
    def n_averaged(self) -> int:
        return int(self.averaged.sum())

    @property
    def averaged_fs(self) -> float:
        """Time that the averaged frames stand for, fs; NaN without a time axis."""
        if self.n_frames < 2 or np.isnan(self.time_fs).any():
            return np.nan
        return self.n_averaged * float(np.median(np.diff(self.time_fs)))

    @property
    def n_atoms(self) -> int:
        return len(self.atomic_numbers)

"""What is told while LAMMPS runs: step, speed, temperature, time left, every few seconds. Its log file has the rest."""

import time
from datetime import timedelta

from operators.log import log
from operators.simulations.lammps_log import thermo_step
from schemas.simulation import SimulationCard
from schemas.units import NS_PER_DAY_PER_FS_PER_S

_SECONDS_BETWEEN_EVENTS = 5.0


class Progress:
    """Reads LAMMPS's lines as they come."""

    def __init__(self, card: SimulationCard) -> None:
        self._card = card
        self._last_step = self._first_step = -1
        self._began_at = self._told_at = time.monotonic()

    def heard(self, line: str) -> bool:
        """Take in one line; whether it was one of the thermo table."""
        if (found := thermo_step(line)) is None:
            return False
        step, temperature_k = found
        now = time.monotonic()
        if self._last_step < 0 or step < self._last_step:
            # Loading the model, and moving atoms apart before step 0, is no part of the speed.
            self._began_at, self._first_step = now, step
        elif step > self._first_step and now - self._told_at >= _SECONDS_BETWEEN_EVENTS:
            self._told_at = now
            steps_per_s = (step - self._first_step) / (now - self._began_at)
            self._tell(step, temperature_k, steps_per_s=steps_per_s)
        self._last_step = step
        return True

    def _tell(self, step: int, temperature_k: float, *, steps_per_s: float) -> None:
        plan = self._card.plan
        left_s = round((plan.n_steps - step) / steps_per_s)
        log.info(
            "simulate",
            run_id=self._card.run_id,
            step=step,
            n_steps=plan.n_steps,
            phase="equilibration" if step < plan.n_equilibration_steps else "production",
            temperature_k=round(temperature_k),
            ns_per_day=float(f"{steps_per_s * plan.time_step_fs * NS_PER_DAY_PER_FS_PER_S:.3g}"),
            time_left=str(timedelta(seconds=left_s)),
        )

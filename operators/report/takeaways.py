"""What a reader should know of a chemical system after twenty seconds: a few sentences with their numbers."""

from operators.report.page import Ask, Group, Row, counted, number

_VERDICTS = {"indistinguishable": "indistinguishable", "good": "good", "visible": "visible", "disagrees": "disagree"}


def takeaways(group: Group, ask: Ask) -> list[tuple[str, str]]:
    """Sentences by topic, and last the topics that have no data yet."""
    found = {
        "Data": _data(group, ask),
        "Smallest force error": _smallest_force_error(group, ask),
        **_worth_of_virials(group, ask),
        "Held-out compositions": _held_out(group, ask),
        "Curves against AIMD": _agreement(group, ask),
        "Density against experiment": _density(group, ask),
        "Speed": _speed(group, ask),
    }
    missing = ", ".join(topic[0].lower() + topic[1:] for topic, sentence in found.items() if not sentence)
    sentences = [(topic, sentence) for topic, sentence in found.items() if sentence]
    return [*sentences, ("Not yet", f"{missing}.")] if missing else sentences


def _data(group: Group, ask: Ask) -> str:
    [row] = ask(f"""select count(*) as n_runs, count(distinct composition) as n_compositions,
       coalesce(sum(n_frames), 0)::bigint as n_frames, coalesce(sum(n_rejected), 0)::bigint as n_rejected
from runs where origin = 'aimd' and {group.where}""")
    rejected = f"; {row['n_rejected']:,} rejected" if row["n_rejected"] else "; none rejected"
    return (
        f"{row['n_frames']:,} AIMD frames of {counted(row['n_compositions'], 'composition')} "
        f"in {counted(row['n_runs'], 'run')}{rejected}."
    )


def _pooled(group: Group, ask: Ask) -> list[Row]:
    return ask(f"""select test.*, recipe, seed, n_steps,
       held_out.rmse_force_mev_per_angstrom as held_out_force, held_out.n_frames as n_held_out
from rmse test
join trained_potentials on trained_potentials.potential_id = test.potential_id
left join rmse held_out
  on held_out.potential_id = test.potential_id and held_out.composition = 'all' and held_out.split = 'held_out'
where {group.where} and test.composition = 'all' and test.split = 'test'
order by test.rmse_force_mev_per_angstrom, test.potential_id""")


def _smallest_force_error(group: Group, ask: Ask) -> str:
    rows = _pooled(group, ask)
    if not rows:
        return ""
    best = rows[0]
    energy, virial = number(best["rmse_energy_mev_per_atom"]), best["rmse_virial_mev_per_atom"]
    return (
        f"{best['recipe']} (seed {best['seed']}, {best['n_steps']:,} steps): energy {energy} "
        f"meV/atom, force {number(best['rmse_force_mev_per_angstrom'])} meV/Å"
        + (f", virial {number(virial)} meV/atom" if virial is not None else "")
        + f" RMSE on {counted(best['n_frames'], 'test frame')}."
    )


def _worth_of_virials(group: Group, ask: Ask) -> dict[str, str]:
    """The paper's first claim; nothing is said where no two potentials differ in their virials only."""
    rows = ask(f"""select * from virials_worth where {group.where}
order by n_steps desc, rmse_force_mev_per_angstrom, potential_id, potential_id_without limit 1""")
    return {"Virials in the loss": _virials_sentence(rows[0])} if rows else {}


def _virials_sentence(row: Row) -> str:
    energy, force = (
        f"{number(row[f'rmse_{name}_{unit}'])} against {number(row[f'rmse_{name}_without_{unit}'])} {spoken}"
        for name, unit, spoken in (("energy", "mev_per_atom", "meV/atom"), ("force", "mev_per_angstrom", "meV/Å"))
    )
    virial, without = row["rmse_virial_mev_per_atom"], row["rmse_virial_without_mev_per_atom"]
    return (
        f"With them, the virial error is {number(virial)} meV/atom, without them {number(without)}: "
        f"{row['times_the_virial_error']:.1f} times; energy {energy}, force {force} "
        f"({row['recipe']} against {row['recipe_without']}, seed {row['seed']}, {row['n_steps']:,} steps)."
    )


def _held_out(group: Group, ask: Ask) -> str:
    rows = [row for row in _pooled(group, ask) if row["held_out_force"] and row["rmse_force_mev_per_angstrom"]]
    if not rows:
        return ""
    best = rows[0]
    [row] = ask(f"""select max(distance_at_percent) as distance from transferability
where potential_id = '{best["potential_id"]}' and split = 'held_out'""")
    ratio = best["held_out_force"] / best["rmse_force_mev_per_angstrom"]
    return (
        f"Force error {number(best['held_out_force'])} meV/Å on compositions never trained on, {ratio:.2f} times that "
        f"of the test split, up to {number(row['distance'], 2)} at.% away ({best['recipe']})."
    )


def _agreement(group: Group, ask: Ask) -> str:
    # With one element, the curve of all pairs is that of its only pair.
    rows = ask(f"""select coalesce(verdict, 'undecided') as verdict, count(*) as n
from curve_agreement join runs using (run_id)
where {group.where} and (observable <> 'rdf all' or contains(chemical_system, '-')) group by all""")
    counts = {row["verdict"]: row["n"] for row in rows}
    n_undecided = counts.pop("undecided", 0)
    judged = ", ".join(f"{counts[name]} {worded}" for name, worded in _VERDICTS.items() if name in counts)
    sentences = (
        [f"Of {counted(sum(counts.values()), 'curve')} judged by their noise floor: {judged}."] if judged else []
    )
    if n_undecided:
        sentences.append(f"{counted(n_undecided, 'curve')} undecided: a run too short, or its noise floor too high.")
    return " ".join(sentences)


def _density(group: Group, ask: Ask) -> str:
    rows = ask(f"""select * from density_vs_experiment
where {group.where} and density_is = 'predicted' and deviation_from_experiment_percent is not null
order by abs(deviation_from_experiment_percent) desc, run_id limit 1""")
    if not rows:
        return ""
    worst = rows[0]
    told = ask(f"""select verdict, why from attribution
where run_id = '{worst["run_id"]}' and quantity = 'density_g_per_cm3'""")
    whose = f" Whose it is: {told[0]['verdict']} ({told[0]['why']})." if told else ""
    return (
        f"At most {worst['deviation_from_experiment_percent']:+.1f} % "
        f"at constant pressure ({worst['composition']}, {worst['temperature_k']:.0f} K, "
        f"{worst['recipe'] or worst['origin'].upper()}).{whose}"
    )


def _speed(group: Group, ask: Ask) -> str:
    rows = ask(f"""select performance.*, recipe from performance
join trained_potentials using (potential_id)
where {group.where} and outcome = 'finished'
order by performance.protocol = 'performance' desc, performance.n_atoms desc, ns_per_day desc, run_id limit 1""")
    if not rows:
        return ""
    row = rows[0]
    timed = f", {counted(row['n_steps'], 'step')}" if row["n_steps"] else ""
    where = f"{row['n_atoms']:,} atoms on {row['hardware']}"
    return f"{number(row['ns_per_day'])} ns/day with {where} ({row['recipe']}{timed})."

"""How a verdict on agreement is written, or why there is none; `operators.physics.agreement` judges."""

from markupsafe import Markup

from operators.physics.agreement import LARGEST_FLOOR_PERCENT
from operators.report.page import Row, number


def why_undecided(row: Row) -> str:
    """What a comparison lacks for a verdict."""
    if row.get("reason"):
        return str(row["reason"])
    floor_percent = row["floor_percent"]
    if not floor_percent:
        return "no noise floor"
    if floor_percent > LARGEST_FLOOR_PERCENT:
        return f"noise floor {number(floor_percent, 2)} %, above {LARGEST_FLOOR_PERCENT:.0f} %"
    return f"run too short (floor {number(floor_percent, 2)} %)"


def is_undecided(row: Row) -> bool:
    """Whether a comparison has no verdict."""
    return row["verdict"] in (None, "undecided")


def verdict(row: Row) -> Markup:
    """A verdict on agreement with z and the noise floor that it was judged by; or why there is none."""
    if is_undecided(row):
        return Markup('<span class="verdict undecided">undecided</span> {}').format(why_undecided(row))
    return Markup('<span class="verdict {}">{}</span> z {} (floor {} %)').format(
        row["verdict"], row["verdict"], number(row["z"], 2), number(row["floor_percent"], 2)
    )

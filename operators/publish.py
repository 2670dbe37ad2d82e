"""Publish: the DuckDB warehouse, rebuilt from the lake and swapped in. SQL and file handling are `lake.warehouse`'s."""

from lake import warehouse
from lake.delta import Lake
from lake.experiments import write_experiments, write_recipes
from operators.log import log
from schemas.settings import Settings


def publish(settings: Settings) -> dict[str, object]:
    """Make the warehouse show the lake as it is; `tables` gives the rows of each."""
    lake = Lake(settings.lake)
    write_experiments(lake)
    write_recipes(lake)
    done = warehouse.publish(settings)
    log.info("publish", warehouse=settings.warehouse, lake_version=lake.version(), changed=done.changed)
    return {
        "lake_version": lake.version(),
        "tables": done.n_rows,
        "rebuilt": done.rebuilt,
        "changed": done.changed,
        "warehouse": settings.warehouse,
    }

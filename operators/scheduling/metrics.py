"""What Airflow's metrics (StatsD, OpenTelemetry) are told of pods and of the landing zone; docs/scheduling.md lists it.

Everything is in the names, since plain StatsD drops tags. Airflow sends nothing unless metrics are switched on.
"""

from datetime import datetime

from airflow.providers.common.compat.sdk import Stats
from kubernetes.client import models as k8s

from operators.scheduling.retries import end_of


def tell_of_pod(pod: k8s.V1Pod, verb: str, *, container: str = "base") -> None:
    """How the container ended, how long it ran, and how long the pod waited before: for a GPU, a node, an image.

    Parameters
    ----------
    pod
        As the cluster told of it when it had ended.
    verb
        What the pod ran: `train`.
    """
    ended = end_of(pod, container)
    Stats.incr(f"meltlake.pods.ended.{verb}.{'lost' if ended is None else ended.exit_code}")
    if ended is None or ended.started_at is None or ended.finished_at is None:  # its node was lost
        return
    Stats.timing(f"meltlake.pods.waited.{verb}", _ms(pod.metadata.creation_timestamp, ended.started_at))
    Stats.timing(f"meltlake.pods.ran.{verb}", _ms(ended.started_at, ended.finished_at))


def _ms(since: datetime, until: datetime) -> float:
    """Not below 0: the one time may be the API server's, the other a node's, and their clocks differ."""
    return max(0.0, (until - since).total_seconds() * 1e3)

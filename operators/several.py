"""Several subjects of one command: what goes wrong with one of them is told, and the others go on."""

import traceback
from collections.abc import Callable
from typing import TypeVar

from schemas.errors import MeltlakeError, Unexpected

Answer = TypeVar("Answer")


def attempt(work: Callable[[], Answer]) -> Answer | MeltlakeError:
    """What the work on one subject answers, or why it does not.

    What the system says (a full disk) is raised: it would say the same of the next subject.
    """
    try:
        return work()
    except MeltlakeError as error:
        return error
    except OSError:
        raise
    except Exception as error:  # noqa: BLE001 - a bug of ours that one subject meets must not keep the others
        return unexpected(error)


def unexpected(error: Exception) -> Unexpected:
    """A bug of ours, as it is told of one subject among several; its traceback is on stderr."""
    traceback.print_exception(error)
    kind = type(error).__name__
    return Unexpected(f"Unexpected {kind}: {error}.", "This is a bug of meltlake: report it with the lines above.")

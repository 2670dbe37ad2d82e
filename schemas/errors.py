"""Errors that a person can act on, and the exit codes that carry them. Bugs are ordinary exceptions."""

from collections.abc import Iterable

EXIT_BUG = 1
EXIT_USAGE = 2
EXIT_BAD_INPUT = 65
EXIT_TRY_AGAIN = 75
EXIT_STOPPED = 143


class MeltlakeError(Exception):
    """Something a person must act on: what is wrong where, and what to do.

    Parameters
    ----------
    problem
        Where, what was needed and what was found, as one sentence.
    remedy
        What to do about it, as one sentence.
    """

    exit_code = EXIT_BAD_INPUT

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(f"{problem} {remedy}")
        self.problem = problem
        self.remedy = remedy

    @property
    def entry(self) -> dict[str, object]:
        """For the answer of a command with several subjects, beside the one that it is about."""
        return {"reason": self.problem, "remedy": self.remedy, "exit_code": self.exit_code}


class StepFailed(MeltlakeError):
    """A step that had begun failed at its work, not for what was asked of it: told by `status` until it succeeds."""


class UnreadableFile(MeltlakeError):
    """A file that no reader can take frames from; the reason is `problem`."""


class FileReplaced(MeltlakeError):
    """A file that was read in part is not the same file any more: it must be read from its beginning."""


class Unexpected(MeltlakeError):
    """A bug of ours that one of several subjects met: the others go on, and the command ends as for any bug."""

    exit_code = EXIT_BUG


class TryAgainLater(MeltlakeError):
    """Something is busy or not there yet; the same command may succeed later."""

    exit_code = EXIT_TRY_AGAIN


class StoppedBySignal(BaseException):  # as KeyboardInterrupt: no handler of errors may swallow it
    """SIGTERM arrived and the work was stopped in an orderly way."""

    exit_code = EXIT_STOPPED

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(f"{problem} {remedy}")
        self.problem = problem
        self.remedy = remedy


def one_code(codes: Iterable[int]) -> int:
    """The exit code of a command with several subjects, by those of the subjects that failed.

    Trying again helps only if nothing else is wrong; a bug is tried again, a person's error is not.
    """
    found = set(codes)
    return next((code for code in (EXIT_BAD_INPUT, EXIT_BUG, EXIT_TRY_AGAIN) if code in found), 0)

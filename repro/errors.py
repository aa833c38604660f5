"""The exceptions that the project raises for faults it foresees, and how a user is told."""

import sys


class ReproError(Exception):
    """A fault with a known cause, told in one line that says what to do about it.

    The command line prints the line on standard error and ends with exit status 1.
    """


class DivergedError(ReproError):
    """The loss of a training, or what its network scores, is no finite number any more."""


class NoSuchReadingError(ReproError):
    """A corpus cannot be labelled or split as a reading wants it."""


class NoResultsError(ReproError):
    """A study has no results that could be shown, and none are made."""


class AllDivergedError(NoResultsError):
    """Every training of a study diverged."""


class NoMapsError(NoResultsError):
    """A study has results, but kept no attention maps."""


def told(message: object) -> str:
    """Return a message as the one line that reaches the user."""
    return f"repro: {' '.join(map(str.strip, str(message).splitlines()))}"


def warn(message: object) -> None:
    """Print a message on standard error, as one line."""
    print(told(message), file=sys.stderr, flush=True)

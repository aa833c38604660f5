"""The exceptions that the project raises for faults it foresees."""

from __future__ import annotations


class ReproError(Exception):
    """A fault with a known cause, told in one line that says what to do about it.

    The command line prints the line on standard error and ends with exit status 1.
    """


class NoSuchReadingError(ReproError):
    """A corpus cannot be labelled or split as a reading wants it."""


class NoResultsError(ReproError):
    """A study has no results, and the corpus to train it on is not at hand."""

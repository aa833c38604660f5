"""Imported once, by the process that forks the commands of `interrupted`: all that they import."""

from repro import cli
from repro.study import checkpoint, grids

__all__ = ["checkpoint", "cli"]

grids.variants("pooling", "smoke")  # torch imports more when it first computes shapes

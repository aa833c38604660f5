"""Imported once, by the process that forks the commands of `interrupted`: all that they import."""

from repro import checkpoint, cli, study

__all__ = ["checkpoint", "cli"]

study.variants("pooling", "smoke")  # torch imports more when it first computes shapes

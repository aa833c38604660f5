"""The `repro` command in child processes that can be stopped at any moment, at little cost.

A process that imports torch takes seconds to start. Here one process has it imported and forks a
child for each command: it runs no thread that a fork could leave half way, unlike the process
that runs the tests.
"""

import hashlib
import multiprocessing
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from multiprocessing import forkserver
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest

_server = multiprocessing.get_context("forkserver")
_server.set_forkserver_preload(["interrupted_warm"])


@cache
def _start_server() -> None:
    """Starts the process that forks; it finds modules by the environment, not by our path."""
    here = Path(__file__).parent
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", f"{here}{os.pathsep}{here.parent}")
        forkserver.ensure_running()


def start(arguments: Sequence[object], log: Path, setup: Callable[[], None]) -> BaseProcess:
    """Starts `repro ARGUMENTS`; what it prints goes to a log. `setup` is called before, there."""
    _start_server()
    process = _server.Process(target=_command, args=([*map(str, arguments)], log, setup))
    process.start()
    return process


def wait_for(condition: Callable[[], bool], process: BaseProcess, log: Path) -> None:
    """Waits until a condition holds; fails if the process ends before."""
    deadline = time.monotonic() + 120
    while not condition():
        assert process.exitcode is None, log.read_text(encoding="utf-8")
        assert time.monotonic() < deadline, log.read_text(encoding="utf-8")
        time.sleep(0.001)


# What a command is made to do, so that it can be met at a certain moment -------------------------


def nothing() -> None:
    """The command as it is."""


def keep_every_epoch() -> None:
    from repro.study import checkpoint

    checkpoint.INTERVAL = 0.0


def read_slowly() -> None:
    """Read the headers of a corpus from a slow disk."""
    from repro import audio

    audio.length = _after(audio.length, 0.3)


def compute_slowly() -> None:
    """Compute the features of a large corpus."""
    from repro import spectrogram

    spectrogram.segments = _after(spectrogram.segments, 0.3)


def train_slowly() -> None:
    """Take long for an epoch, as a large network does, and keep each."""
    from torch.nn import functional

    keep_every_epoch()
    functional.cross_entropy = _after(functional.cross_entropy, 0.05)


def train_in_one_step() -> None:
    """Spend seconds in compiled code, which does not hear of signals."""
    from torch.nn import functional

    def step(*args: Any, **kwargs: Any) -> None:
        print("HERE", flush=True)
        hashlib.pbkdf2_hmac("sha256", b"", b"", 500_000_000)  # minutes, without the lock of Python

    functional.cross_entropy = step  # type: ignore[assignment]


def swallow_interrupts() -> None:
    """Train with a library in between that catches everything."""
    from torch.nn import functional

    def step(*args: Any, **kwargs: Any) -> None:
        print("HERE", flush=True)
        while True:
            with suppress(BaseException):
                time.sleep(60)

    functional.cross_entropy = step  # type: ignore[assignment]


def fill_the_disk() -> None:
    """Take no file beyond 5000 bytes, which is in the middle of the second or third line."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, resource.RLIM_INFINITY))


def _after(function: Callable[..., Any], seconds: float) -> Callable[..., Any]:
    def slow(*args: Any, **kwargs: Any) -> Any:
        print("HERE", flush=True)
        time.sleep(seconds)
        return function(*args, **kwargs)

    return slow


def _command(arguments: list[str], log: Path, setup: Callable[[], None]) -> None:
    from repro import cli

    sys.stdout = sys.stderr = log.open("a", buffering=1, encoding="utf-8")
    os.dup2(sys.stdout.fileno(), 1)
    os.dup2(sys.stdout.fileno(), 2)
    # Whatever runs the tests may have set signals to be ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    setup()
    sys.argv = ["repro", *arguments]
    cli.main()

"""Files that outlive a killed run: written whole or not at all, and locked by one run at a time.

What cannot be read is a fault in one line.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from repro.errors import ReproError


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that at any moment, even if the power fails, it is the old one or the new.

    Its folder is made where there is none.

    Raises:
        OSError: it cannot be written; the old one is as it was.
    """
    beside = _beside(path)
    try:
        with beside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    with suppress(OSError):  # make the new name outlive it too, where folders can be synced
        descriptor = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def try_to_write(path: Path) -> None:
    """Find out whether a file can be written whole, before hours are spent on what it is to hold.

    Raises:
        OSError: it cannot.
    """
    beside = _beside(path)
    beside.touch()
    beside.unlink()


def _beside(path: Path) -> Path:
    """Return where a file is written before it takes its place; the folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.with_name(f"{path.name}.{os.getpid()}.tmp")


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Context manager: lock a file, which need not exist, so that a second run on it is refused.

    The system lets go of the lock when the process ends, however it ends.

    Raises:
        ReproError: another run holds the lock, or the file cannot be written.
    """
    if is_no_file(path):
        raise ReproError(f"{path}: cannot write results (not a file); name another")
    real = Path(os.path.realpath(path))
    beside = real.with_name(f".{real.name}.lock")  # one for all links to it
    lock = FileLock(beside, blocking=False)
    with refused(f"{path}: cannot write results"):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire()
        except Timeout as error:
            raise ReproError(
                f"{path}: another run is writing to it; wait for its end, or name another file"
            ) from error
    try:
        yield
    finally:
        with suppress(OSError):  # while it is still locked, so that nobody else has it
            beside.unlink()
        lock.release()


def read(path: Path, remedy: str) -> bytes:
    """Return what a file holds.

    Raises:
        ReproError: it cannot be read; the text ends with the remedy.
    """
    if is_no_file(path):
        raise ReproError(f"{path}: not a file; {remedy}")
    with refused(f"{path}: cannot be read", f"; {remedy}"):
        return path.read_bytes()


@contextmanager
def refused(what: str, remedy: str = "") -> Iterator[None]:
    """Context manager: tell in one line what the system refuses to do within, and why.

    Raises:
        ReproError: it refused.
    """
    try:
        yield
    except OSError as error:
        raise ReproError(f"{what} ({error.strerror or error}){remedy}") from error


def is_no_file(path: Path) -> bool:
    """Return whether something else than a file is there: opening a pipe would wait for ever."""
    return os.path.exists(path) and not os.path.isfile(path)

"""Corpora that are made and not read, and their cache: an interruption leaves no half of one."""

import hashlib
import io
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import soundfile

from repro.corpora.table import expand
from repro.errors import ReproError
from repro.paper import SAMPLE_RATE

TEMPORARY = ".repro-"  # begins the names of folders in which a corpus is made
SEAL = ".sha256"  # in the folder of a built-in corpus


def cache_folder(name: str) -> Path:
    """Return the path of a folder in the user's cache; the folder is not made.

    Raises:
        ReproError: the cache lies in a home folder, and which one is not known.
    """
    return expand(Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache")) / "repro" / name


@contextmanager
def filled(directory: Path, *, in_cache: bool = False) -> Iterator[Path]:
    """Context manager: give a path near a folder; what is made there is moved to it at the end.

    An interruption leaves nothing behind; a kill leaves a folder that the next call passes over.

    Args:
        directory: the folder, which need not exist.
        in_cache: what is there, if anything, is ours to replace.

    Raises:
        ReproError: the folder is not empty, outside the cache, or cannot be written.
    """
    try:
        # A folder that is there is filled, as it may be the current one or a link to another.
        within = not in_cache and directory.exists()
        # What was left by a call that was killed does not count.
        if within and not (
            directory.is_dir() and all(of.name.startswith(TEMPORARY) for of in directory.iterdir())
        ):
            what = "the folder is not empty" if directory.is_dir() else "a file, and no folder"
            raise ReproError(f"{directory}: {what}; name a new folder")
        place = directory if within else directory.absolute().parent
        place.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=TEMPORARY, dir=place) as temporary:
            tree = Path(temporary) / "tree"
            yield tree
            if in_cache:
                if _is_whole(directory):
                    return  # another process was faster, and may be reading it
                with suppress(FileNotFoundError):
                    directory.rename(Path(temporary) / "replaced")
            if within:
                for made in tree.iterdir():
                    made.rename(directory / made.name)
            else:
                tree.rename(directory)
    except OSError as error:
        remedy = "set XDG_CACHE_HOME to" if in_cache else "name"
        raise ReproError(
            f"{directory}: the corpus cannot be written here ({error}); {remedy} another folder"
        ) from error


def write_wav(path: Path, waveform: np.ndarray) -> None:
    """Write a sound at 16 kHz, in 16 bits.

    Raises:
        OSError: it cannot be written; libsndfile, left to write to the disk, does not say why.
    """
    content = io.BytesIO()
    soundfile.write(content, waveform, SAMPLE_RATE, format="WAV", subtype="PCM_16")
    path.write_bytes(content.getvalue())


def ensure(name: str, make: Callable[[Path], object]) -> Path:
    """Make a built-in corpus in the user's cache unless it is there, whole; return its folder.

    Args:
        name: of the folder, with the version of what makes it.
        make: writes the corpus into a folder that it is to make.

    Raises:
        ReproError: it cannot be made there.
    """
    directory = cache_folder(name)
    if not _is_whole(directory):
        try:
            with filled(directory, in_cache=True) as tree:
                make(tree)
                (tree / SEAL).write_text(digest(tree, "*"), encoding="utf-8")
        except ReproError:
            if not _is_whole(directory):  # else another process was faster, with the same bytes
                raise
    return directory


def _is_whole(directory: Path) -> bool:
    """Tell whether a folder holds what `ensure` made: caches are purged, and disks fail."""
    try:
        return (directory / SEAL).read_text(encoding="utf-8") == digest(directory, "*")
    except (OSError, UnicodeDecodeError):
        return False


def digest(folder: Path, pattern: str = "*.wav") -> str:
    """Return SHA-256 over the sorted lines "<SHA-256 of the file>  <name>" of the files below.

    A name stands without its folder, as in the published checksums of corpora.
    """
    files = (path for path in folder.rglob(pattern) if path.is_file() and path.name != SEAL)
    lines = sorted(f"{hashlib.sha256(p.read_bytes()).hexdigest()}  {p.name}\n" for p in files)
    return hashlib.sha256("".join(lines).encode(errors="surrogateescape")).hexdigest()

"""Downloads of corpora that anyone may have, each held against a checksum.

What arrives is unpacked apart, and moved to the folder that was asked for when it is complete and
right, so that a failure leaves nothing behind.
"""

import lzma
import stat
import struct
import textwrap
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from repro.corpora import CORPORA
from repro.corpora.cache import digest, filled
from repro.corpora.record import Archive
from repro.corpora.table import expand
from repro.errors import ReproError

TIMEOUT_SECONDS = 60
LARGEST_FILE = 10_000_000  # bytes; the longest recordings have less than a million
LARGEST_CORPUS = 1_000_000_000  # bytes; nEMO's recordings have 531 million
# What Python raises for an archive with damaged bytes. ValueError: names and offsets; RuntimeError:
# an encrypted member, or a method that it does not know.
DAMAGE: tuple[type[Exception], ...] = (zipfile.BadZipFile, zlib.error, lzma.LZMAError)
DAMAGE += (struct.error, EOFError, ValueError, OverflowError, RuntimeError)


def fetch(name: str, directory: str | Path) -> Path:
    """Download a corpus into a folder that is new or empty, and return the folder.

    Its recordings lie in folders named as in the archive.

    Raises:
        ReproError: the corpus has no archive, the folder is in use, the download failed, or it is
            not what was expected.
    """
    free = {name: corpus.archive for name, corpus in CORPORA.items() if corpus.archive}
    if name not in free:
        raise ReproError(f"cannot fetch {name}: choose from {', '.join(free)}")
    archive, directory = free[name], expand(Path(directory))
    with filled(directory) as tree:
        _unpack(_download(archive, tree.parent), tree, archive)
        if archive.digest and archive.digest != digest(tree):
            raise ReproError(
                f"{archive.url}: wrong checksum: its {len([*tree.rglob('*.wav')])} recordings are "
                "not the published ones; nothing was kept"
            )
    return directory


def _download(archive: Archive, folder: Path) -> Path:
    """Download the zip file, with a progress bar."""
    import pooch

    pooch.get_logger().setLevel("WARNING")
    downloader = pooch.HTTPDownloader(progressbar=True, timeout=TIMEOUT_SECONDS)
    url, checksum = archive.url, archive.checksum
    try:
        return Path(pooch.retrieve(url, checksum, "download.zip", folder, downloader=downloader))
    except (OSError, ValueError) as error:  # requests' errors are OSErrors
        reason = " ".join(str(error).split())
        raise ReproError(f"{url}: the download failed ({reason}); try again") from error


def _unpack(file: Path, tree: Path, archive: Archive) -> None:
    """Write the recordings of a zip file into `tree`; refuse an archive that is unsafe.

    Of the folders inside the archive only the last is kept. That may be `..`: a member that climbs
    out, or that is a link, condemns the whole.
    """
    tree.mkdir()
    try:
        with zipfile.ZipFile(file) as members:
            recordings = {}
            for member in members.infolist():
                path = PurePosixPath(member.filename)
                wanted = archive.recording.fullmatch(path.name)
                if _unsafe(member) or (wanted and member.file_size > LARGEST_FILE):
                    raise ReproError(
                        f"{archive.url}: unsafe member {member.filename[:80]!r} in the archive; "
                        "nothing was unpacked"
                    )
                if wanted:
                    recordings[tree / path.parent.name / path.name] = member
            if sum(member.file_size for member in recordings.values()) > LARGEST_CORPUS:
                raise ReproError(f"{archive.url}: larger than any corpus; nothing was unpacked")
            for target, member in recordings.items():
                target.parent.mkdir(exist_ok=True)
                target.write_bytes(_content(members, member))
    except DAMAGE as error:
        reason = textwrap.shorten(str(error), 200)
        raise ReproError(
            f"{archive.url}: the archive is damaged ({reason}); download it again"
        ) from error


def _content(members: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    try:
        return members.read(member)
    except OSError as error:  # a damaged offset before the file's start, or data in bzip2
        raise zipfile.BadZipFile(str(error)) from error


def _unsafe(member: zipfile.ZipInfo) -> bool:
    """Return whether a member climbs out or is a link."""
    path = PurePosixPath(member.filename.replace("\\", "/"))
    climbs = path.is_absolute() or ".." in path.parts or ":" in member.filename
    return climbs or stat.S_ISLNK(member.external_attr >> 16)

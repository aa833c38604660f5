"""Downloads of corpora that anyone may have, each held against a checksum: EmoDB (CC0).

What arrives is unpacked beside the folder that was asked for and renamed when it is complete and
right, so that a failure leaves nothing behind.
"""

from __future__ import annotations

import hashlib
import importlib.util
import lzma
import stat
import struct
import textwrap
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from repro.corpora.emodb import NAME
from repro.corpora.table import expand, filled
from repro.errors import ReproError

EMODB_URL = "http://emodb.bilderbar.info/download/download.zip"
# Of the 535 wav files as first published, however they are packed: see `digest`.
EMODB_DIGEST = "6dec7e7d536dd1fba897ae935fa4346a157024c3b2271c8befd6eb06ad9613bd"
TIMEOUT_SECONDS = 60
LARGEST_FILE = 10_000_000  # bytes; the longest recording has 0.3 million
LARGEST_CORPUS = 500_000_000  # bytes; the recordings have 48 million
# What Python raises for an archive with damaged bytes; ValueError: names and offsets.
DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    NotImplementedError,
    RuntimeError,  # encrypted
    ValueError,
    OverflowError,
)


def fetch_emodb(directory: str | Path, url: str = EMODB_URL, expected: str = EMODB_DIGEST) -> Path:
    """Download EmoDB into a new folder, its recordings in `wav`.

    Args:
        directory: a folder that does not exist yet, or is empty.
        url: a zip archive that holds the wav files in some folder.
        expected: the `digest` that the recordings must have.

    Returns:
        The folder.

    Raises:
        ReproError: the folder is in use, the download failed, or it is not what was expected.
    """
    directory = expand(Path(directory))
    with filled(directory) as tree:
        archive = _download(url, tree.parent)
        _unpack(archive, tree / "wav", url)
        _verify(tree / "wav", url, expected)
    return directory


def digest(folder: Path) -> str:
    """Return SHA-256 over the sorted lines "<SHA-256 of the file>  <name>" of the wav files."""
    lines = sorted(
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n"
        for path in folder.glob("*.wav")
    )
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _download(url: str, folder: Path) -> Path:
    """Download the file behind `url`, with a progress bar."""
    import pooch

    pooch.get_logger().setLevel("WARNING")
    bar = importlib.util.find_spec("tqdm") is not None
    downloader = pooch.HTTPDownloader(progressbar=bar, timeout=TIMEOUT_SECONDS)
    try:
        # The archive may be packed again one day; the recordings are what must not change.
        return Path(pooch.retrieve(url, None, "download.zip", folder, downloader=downloader))
    except (OSError, ValueError) as error:  # requests' errors are OSErrors
        reason = " ".join(str(error).split())
        raise ReproError(f"{url}: the download failed ({reason}); try again") from error


def _unpack(archive: Path, wav: Path, url: str) -> None:
    """Write the recordings of a zip file straight into `wav`; refuse an archive that is unsafe.

    Folders inside the archive are dropped, so no member can name a place outside `wav`; one that
    tries, or that is a link, still condemns the whole.
    """
    wav.mkdir(parents=True)
    try:
        with zipfile.ZipFile(archive) as members:
            recordings = {}
            for member in members.infolist():
                if _unsafe(member):
                    raise ReproError(
                        f"{url}: unsafe member {member.filename[:80]!r} in the archive; "
                        "nothing was unpacked"
                    )
                name = PurePosixPath(member.filename).name
                if NAME.fullmatch(name):
                    recordings[name] = member
            if sum(member.file_size for member in recordings.values()) > LARGEST_CORPUS:
                raise ReproError(f"{url}: larger than EmoDB can be; nothing was unpacked")
            for name, member in recordings.items():
                (wav / name).write_bytes(_content(members, member))
    except DAMAGE as error:
        reason = textwrap.shorten(str(error), 200)
        raise ReproError(f"{url}: the archive is damaged ({reason}); download it again") from error


def _content(members: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    try:
        return members.read(member)
    except OSError as error:  # bzip2's way to say that its data are damaged
        raise zipfile.BadZipFile(str(error)) from error


def _unsafe(member: zipfile.ZipInfo) -> bool:
    """Return whether a member climbs out, is a link, or is a recording larger than any can be."""
    path = PurePosixPath(member.filename.replace("\\", "/"))
    climbs = path.is_absolute() or ".." in path.parts or ":" in member.filename
    is_link = stat.S_ISLNK(member.external_attr >> 16)
    is_huge = bool(NAME.fullmatch(path.name)) and member.file_size > LARGEST_FILE
    return climbs or is_link or is_huge


def _verify(wav: Path, url: str, expected: str) -> None:
    """ReproError unless the recordings are the published ones."""
    count = len(list(wav.glob("*.wav")))
    if digest(wav) != expected:
        raise ReproError(
            f"{url}: wrong checksum: its {count} recordings are not the published 535; "
            "nothing was kept"
        )

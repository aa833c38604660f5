"""What the package knows of a corpus: one record, which its module fills in."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from repro.corpora.table import Utterance
from repro.paper import SAMPLE_RATE


class Archive(NamedTuple):
    """A zip file that the makers of a corpus let anyone download.

    It is verified by `digest`, or as a whole by `checksum`.
    """

    url: str
    recording: re.Pattern[str]  # the names of its recordings; nothing else is unpacked
    digest: str | None = None  # of the recordings, however they are packed: see `cache.digest`
    checksum: str | None = None  # of the file itself, such as `md5:…`, where only that is published


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """A corpus; what is left out is taken for unknown, but for rate and channels.

    Args:
        name: what `--corpus` takes.
        title: its name in prose.
        description: what it holds, for `repro corpus list`.
        licence: on what terms it may be used.
        read: from its folder, and what counts as happy, to its labelled utterances.
        ensure: returns its folder where none is named: for one that is built in, which is made in
            the cache unless it is there, and for one's own, which is beside its table.
        archive: where it can be downloaded.
        rate: sampling rate of its files, in Hz, by default 16 kHz; None for any.
        channels: the most that a file of it may have, by default 1; None for any number.
        women: the speakers who are women; empty if it does not tell.
        published: speaker to utterances that are neutral, happy, sad, angry in its release.
        training_segments: how many its release gives, short utterances padded; 0 if not known.
    """

    name: str
    title: str
    description: str
    licence: str
    read: Callable[[Path, str], list[Utterance]]
    ensure: Callable[[], Path] | None = None
    archive: Archive | None = None
    rate: int | None = SAMPLE_RATE
    channels: int | None = 1
    women: frozenset[str] = frozenset()
    published: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    training_segments: int = 0

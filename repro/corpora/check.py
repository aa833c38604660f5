"""What lies on disk for a corpus, against what its published release holds (Section 3.1).

The table of speakers and emotions, the lengths and the segments that Section 2.1 makes of them, and
everything that is wrong with the files. All faults are listed; none ends the listing.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd

from repro import audio
from repro.corpora import BUILT_IN, list_utterances, name_of, own, record_of
from repro.corpora.table import Utterance, faults
from repro.errors import ReproError
from repro.paper import EMOTIONS, SAMPLE_RATE, TEST_HOP_SECONDS, TRAIN_HOP_SECONDS
from repro.spectrogram import SEGMENT, segment_count


@dataclass(frozen=True)
class Report:
    """What `check` found. Utterances whose file cannot be read count, but have no length.

    Args:
        corpus: its name.
        root: its folder.
        counts: utterances by speaker (rows) and emotion (columns).
        lengths: of the readable utterances, in samples at 16 kHz.
        differences: of the counts from the published release; None where nothing is published.
        problems: all that is wrong with the files.
        remarks: what is lacking in a table of one's own, and may well be.
    """

    corpus: str
    root: str
    counts: pd.DataFrame
    lengths: np.ndarray
    differences: tuple[str, ...] | None
    problems: tuple[str, ...]
    remarks: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Return whether every file can be used as it is, and none that was published is gone."""
        return not self.problems and not self.differences

    def as_dict(self) -> dict[str, object]:
        """Return the report as JSON knows it."""
        return {
            "corpus": self.corpus,
            "root": self.root,
            "utterances": int(self.counts.to_numpy().sum()),
            "counts": self.counts.to_dict(orient="index"),
            "hours": float(self.lengths.sum() / SAMPLE_RATE / 3600),
            "under_2s": int((self.lengths < SEGMENT).sum()),
            "training_segments": _segments(self.lengths, TRAIN_HOP_SECONDS),
            "test_segments": _segments(self.lengths, TEST_HOP_SECONDS),
            "published_release": None if self.differences is None else not self.differences,
            "differences": list(self.differences or ()),
            "problems": list(self.problems),
            "remarks": list(self.remarks),
            "ok": self.ok,
        }

    def text(self) -> str:
        """Return the report for a terminal."""
        facts = self.as_dict()
        seconds = self.lengths.sum() / SAMPLE_RATE
        table = self.counts.assign(total=self.counts.sum(axis=1))
        # Not by its label, as a speaker may be called so.
        table = pd.concat([table, table.sum().to_frame("total").T.rename_axis("speaker")])
        lines = [
            f"{self.corpus} in {self.root}",
            "",
            table.to_string(),
            "",
            f"utterances          {facts['utterances']:,}, {facts['under_2s']:,} under 2 s",
            f"speech              {facts['hours']:.2f} h ({seconds:,.1f} s)",
            f"training segments   {facts['training_segments']:,}",
            f"test segments       {facts['test_segments']:,}",
            f"published release   {self._published()}",
            *(f"  {difference}" for difference in self.differences or ()),
            f"problems            {len(self.problems) or 'none'}",
            *(f"  {problem}" for problem in self.problems),
        ]
        return "\n".join(lines)

    def _published(self) -> str:
        if self.differences is None:
            made_here = self.corpus in BUILT_IN
            return "does not apply: made by this program" if made_here else "none to compare with"
        return "no, the counts differ:" if self.differences else "yes, the counts agree"


def check(name: str, root: str | Path | None) -> Report:
    """Read every file of a corpus, named as for `load_corpus`; report what is there and wrong.

    Raises:
        ReproError: the name is unknown, or the folder is not that corpus at all.
    """
    if root is None and (make := record_of(name).ensure):
        root = make()
    utterances = list_utterances(name, root)
    lengths, problems = [], faults(utterances)
    for utterance in utterances:
        try:
            length, of_file = _inspect(utterance.path, name)
        except ReproError as error:
            problems.append(str(error))
        else:
            lengths.append(length)
            problems += [f"{utterance.path}: {fault}" for fault in of_file]
    if not utterances:
        problems.append(f"{root}: no utterance found; check the folder")
    counts, of_files = counted(utterances), np.array(lengths, dtype=np.int64)
    file = own.file_of(name)
    remarks = _lacking(name_of(name), counts, own.left_out(name)) if file else []
    if len(counts) == 1:  # of a release there is more to get, and the counts say so
        said = f"{name_of(name)}: one speaker; to hold one out takes at least two"
        (problems if file else remarks).append(said)
    found = _differences(name, counts, of_files), tuple(problems), tuple(remarks)
    return Report(name_of(name), str(root), counts, of_files, *found)


def remarks(tables: Mapping[tuple[str | None, str], pd.DataFrame]) -> list[str]:
    """Return what `check` would say of corpora that can be trained on, a line for each kind.

    Args:
        tables: of `load_corpus`; the second part of a key is the `labels` that they were read with.

    Raises:
        ReproError: a file cannot be read to its end.
    """
    lines = []
    corpus_of: dict[str, str] = {}
    for (_, labels), table in tables.items():
        name = table.attrs["corpus"]
        corpus_of |= dict.fromkeys(table["path"], name)
        counts = counted(table)
        if own.file_of(name):
            lines += _lacking(name, counts, table.attrs["left_out"])
        differences = _differences(name, counts, table["samples"].to_numpy())
        if labels == "hap" and differences:
            lines.append(
                f"{name}: the counts differ from the published release ({differences[0]}"
                f"{_more(differences)}); `repro corpus check {name} DIR` lists all"
            )
    files_with: dict[str, list[str]] = {}
    for path, name in corpus_of.items():
        for fault in _inspect(Path(path), name)[1]:
            files_with.setdefault(fault, []).append(path)
    lines += [f"{files[0]}: {fault}{_more(files)}" for fault, files in files_with.items()]
    return lines


def _lacking(name: str, counts: pd.DataFrame, left_out: str) -> list[str]:
    """Say what of a table of one's own may be a mistake.

    That is utterances that are left out, emotions that have none, and speakers whose names are
    alike but for capitals, blanks and zeros at the start of a number.
    """
    absent = [emotion for emotion in EMOTIONS if not counts[emotion].any()]
    none = f"no utterance is {' or '.join(absent)}; networks have all four classes"
    said = [left_out, none if absent else ""]
    plain = counts.index.map(lambda speaker: re.sub(r"\s|(?<!\d)0+(?=\d)", "", speaker.casefold()))
    for _, alike in counts.groupby(plain):
        names = " and ".join(alike.index)
        said.append(f"{names} count as different speakers" if len(alike) > 1 else "")
    return [f"{name}: {what}" for what in said if what]


def _more(items: Sequence[str]) -> str:
    """Say how many there are beside the first."""
    return f"; {len(items) - 1} more" if items[1:] else ""


def _inspect(path: Path, corpus: str) -> tuple[int, list[str]]:
    """Return the length at 16 kHz and the faults of a readable file; ReproError of any other."""
    sound = audio.read(path)
    faults = sound.faults
    expected, most = record_of(corpus).rate, record_of(corpus).channels
    if expected and sound.rate != expected:
        faults.append(f"{sound.rate} Hz, not {expected}")
    if most and sound.channels > most:
        faults.append(f"{sound.channels} channels, not {most}")
    return audio.at_16_khz(len(sound.waveform), sound.rate), faults


def counted(utterances: Iterable[Utterance] | pd.DataFrame) -> pd.DataFrame:
    """Return the counts of utterances by speaker (rows) and emotion (columns)."""
    rows = pd.DataFrame(utterances, columns=list(Utterance._fields))
    counts = pd.crosstab(rows["speaker"], rows["emotion"])
    return counts.reindex(columns=list(EMOTIONS), fill_value=0).rename_axis(columns=None)


def _differences(name: str, counts: pd.DataFrame, lengths: np.ndarray) -> tuple[str, ...] | None:
    """Where the counts are not the published release's; None where nothing is published."""
    published = record_of(name).published
    if not published:
        return None
    release = pd.DataFrame.from_dict(published, orient="index", columns=list(EMOTIONS))
    speakers = sorted({*release.index, *counts.index})
    have, want = (each.reindex(speakers, fill_value=0) for each in (counts, release))
    lines = [
        f"speaker {speaker}: {have.at[speaker, emotion]} {emotion}, not {want.at[speaker, emotion]}"
        for speaker, emotion in product(speakers, EMOTIONS)
        if have.at[speaker, emotion] != want.at[speaker, emotion]
    ]
    segments, expected = _segments(lengths, TRAIN_HOP_SECONDS), record_of(name).training_segments
    if not lines and expected and segments != expected:  # all are there, some of another length
        lines.append(f"{segments:,} training segments, not {expected:,}")
    return tuple(lines)


def _segments(lengths: np.ndarray, hop_seconds: float) -> int:
    return sum(segment_count(int(length), hop_seconds) for length in lengths)

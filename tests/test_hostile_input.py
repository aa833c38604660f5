"""Broken and hostile files: read rightly or refused in one line, in bounded time and memory.

The makers of such files take a `random.Random`, so that each can be made again.
"""

import io
import json
import math
import os
import pickle
import random
import re
import shutil
import signal
import struct
import sys
import time
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest
import safetensors.torch
import soundfile
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from made_up import record
from tiny_corpus import zipped
from tiny_iemocap import DIALOGUE, HEAD, RATINGS, label_file, turn

from repro import audio, files, paper, results
from repro.config import Experiment, Network
from repro.corpora import CORPORA, emodb, fetch, iemocap, load_corpus
from repro.corpora.record import Archive
from repro.errors import ReproError
from repro.model import build_network
from repro.tools import recogniser

T = TypeVar("T")
SECONDS = 5.0  # that any one input may take
BYTES = 4 * 2**30  # of address space that reading may add

few = settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(autouse=True)
def bounded_memory() -> Iterator[None]:
    """Where the system can, an allocation beyond `BYTES` fails, and with it the test."""
    if not sys.platform.startswith("linux"):
        yield
        return
    import resource

    pages = int(Path("/proc/self/statm").read_text().split()[0])
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + BYTES, hard))
    yield
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


@contextmanager
def bounded_time() -> Iterator[None]:
    """Limit what is computed by the processor's time, so that a busy machine has no less; a wait
    for something that never comes, by the clock."""

    def too_long(*_: object) -> None:
        raise TimeoutError(f"more than {SECONDS} s")

    limits = (
        (signal.ITIMER_PROF, signal.SIGPROF, SECONDS),
        (signal.ITIMER_REAL, signal.SIGALRM, 20 * SECONDS),
    )
    before = [signal.signal(number, too_long) for _, number, _ in limits]
    for timer, _, seconds in limits:
        signal.setitimer(timer, seconds)
    try:
        yield
    finally:
        for (timer, number, _), handler in zip(limits, before, strict=True):
            signal.setitimer(timer, 0)
            signal.signal(number, handler)


def attempt(read: Callable[[], T], names: Path | str) -> T | None:
    """What `read` gives, or None if it refuses in one line that names what it read."""
    with bounded_time(), warnings.catch_warnings():
        warnings.simplefilter("error")  # would be a second line
        try:
            return read()
        except ReproError as error:
            line = str(error)
            assert str(names) in line
            assert len(line.splitlines()) == 1
            assert len(line) < 600 + len(str(names))
            return None


def refusal(read: Callable[[], object], names: Path | str) -> str:
    with bounded_time(), pytest.raises(ReproError) as caught:
        read()
    assert str(names) in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def refused(path: Path, content: bytes, read: Callable[[Path], object] = audio.load) -> str:
    path.write_bytes(content)
    return refusal(lambda: read(path), path)


def damaged(rng: random.Random, content: bytes) -> bytes:
    """The content with a few bytes changed, cut off, put in, taken out or doubled."""
    kind = rng.choice(["flip", "flip", "head", "cut", "insert", "delete", "double", "none"])
    if not content or kind == "none":
        return content
    i, j = sorted(rng.randrange(len(content) + 1) for _ in range(2))
    if kind in ("flip", "head"):
        changed = bytearray(content)
        for _ in range(rng.choice([1, 1, 2, 8])):
            end = len(changed) if kind == "flip" else min(64, len(changed))
            changed[rng.randrange(end)] ^= rng.choice([1, 2, 16, 128, 255])
        return bytes(changed)
    if kind == "cut":
        return content[:i]
    if kind == "insert":
        return content[:i] + rng.randbytes(rng.choice([1, 4, 100])) + content[i:]
    return content[:i] + content[j:] if kind == "delete" else content[:j] + content[i:]


# Sound files -------------------------------------------------------------------------------------


def riff(
    body: bytes,
    rate: int = 16_000,
    channels: int = 1,
    bits: int = 16,
    code: int = 1,
    claim: int = -1,
) -> bytes:
    """A wav file whose header says what it is told to."""
    block = channels * bits // 8
    form = struct.pack("<HHIIHH", code, channels, rate, rate * block % 2**32, block % 2**16, bits)
    size = len(body) if claim < 0 else claim
    data = struct.pack("<4sI", b"data", size) + body
    head = struct.pack("<4sI4s4sI", b"RIFF", (36 + size) % 2**32, b"WAVE", b"fmt ", 16)
    return head + form + data


def floats(values: np.ndarray, rate: int = 16_000, channels: int = 1) -> bytes:
    body = values.astype("<f4").tobytes()
    return riff(body, rate=rate, channels=channels, bits=32, code=3)


def encoded(values: np.ndarray, rate: int, form: str, subtype: str | None = None) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, values, rate, format=form, subtype=subtype)
    return file.getvalue()


FORMATS = ["WAV", "WAVEX", "FLAC", "OGG", "AIFF", "AU", "CAF", "W64", "RF64", "MP3"]


def hostile_sound(rng: random.Random) -> bytes:
    kind = rng.choice(["format", "format", "format", "header", "values", "noise"])
    shape = (rng.choice([1, 2, 30, 999, 4000]), rng.choice([1, 1, 2, 8]))
    values = np.random.default_rng(rng.randrange(2**32)).uniform(-1, 1, shape)
    if kind == "format":
        form = rng.choice(FORMATS)
        if form == "MP3":
            values = values[:, :2]
        rate = rng.choice([8_000, 16_000, 44_100, 48_000])
        return damaged(rng, encoded(values, rate, form))
    if kind == "header":
        wild = [0, 1, 2, 3, 8, 255, 1000, 2**15, 2**16 - 1]
        return riff(
            rng.randbytes(rng.choice([0, 1, 2, 999, 10_000])),
            rate=rng.choice([*wild, 11_127, 95_999, 384_000, 2**31 - 1, 2**31, 2**32 - 1]),
            channels=rng.choice([1, 1, *wild]),
            bits=rng.choice([8, 16, 16, 24, 32, 64, *wild]),
            code=rng.choice([1, 1, 1, 2, 3, 6, 7, 17, 20, 49, 85, 65_534, 65_535]),
            claim=rng.choice([-1, 0, 1, 2**31 - 1, 2**31, 2**32 - 1]),
        )
    if kind == "values":
        odd = [0.0, 1.0, -1.0, 1e-45, 1e5, 1e11, 3.4e38, -3.4e38, math.nan, math.inf, -math.inf]
        chosen = rng.choices(odd, k=rng.choice([1, 2, 3]))
        values = np.array(rng.choices(chosen, k=rng.choice([1, 700])))
        return floats(values, rng.choice([8000, 16000]))
    starts = [b"", b"RIFF", b"fLaC", b"OggS", b"FORM", b"\x89PNG\r\n\x1a\n", b"ID3", b"caff"]
    return rng.choice(starts) + rng.randbytes(rng.choice([0, 3, 40, 5000]))


def try_sound(path: Path, content: bytes) -> bool:
    """Whether the content is read; what is read must be a waveform."""
    path.write_bytes(content)
    waveform = attempt(lambda: audio.load(path), path)
    if waveform is not None:
        assert waveform.dtype == torch.float32 and waveform.ndim == 1 and len(waveform)
        assert waveform.isfinite().all()
        listed = attempt(lambda: audio.length(path), path)  # refuses what is cut off
        cut_off = any("cut" in fault for fault in audio.read(path).faults)
        assert listed == (None if cut_off else len(waveform))
    return waveform is not None


@few
@given(
    rate=st.integers(8_000, 96_000),
    channels=st.integers(1, 8),
    frames=st.integers(1, 3_000) | st.integers(190_000, 210_000),
    shape=st.sampled_from(["noise", "DC", "silence", "clipping"]),
)
@example(rate=96_000, channels=8, frames=96_000 * 20, shape="noise")
@example(rate=44_100, channels=1, frames=44_100 * 120, shape="clipping")
@example(rate=95_989, channels=1, frames=95_989 * 30, shape="noise")  # a prime
def test_any_rate_and_channels_are_read(
    tmp_path: Path, rate: int, channels: int, frames: int, shape: str
) -> None:
    path = tmp_path / "x.wav"
    values = np.random.default_rng(0).uniform(-1, 1, (frames, channels))
    if shape != "noise":
        values[:] = {"DC": 0.5, "silence": 0.0, "clipping": 1.0}[shape]
    path.write_bytes(floats(values, rate, channels))
    with bounded_time():
        waveform = audio.load(path)
    assert len(waveform) == -(-frames * 16_000 // rate)
    assert waveform.abs().max() < 2  # filters ring, but not like that; no NaN either
    assert shape != "silence" or not waveform.any()


def flac_claiming(frames: int) -> bytes:
    content = bytearray(encoded(np.zeros(1600), 16_000, "FLAC"))
    content[21] = content[21] & 0xF0 | frames >> 32
    content[22:26] = (frames % 2**32).to_bytes(4, "big")
    return bytes(content)


CLAIMS = {
    "a rate of 1 Hz": riff(bytes(200_000), rate=1),
    "a rate of 2 GHz": riff(bytes(2000), rate=2**31 - 1),
    "2^36 samples": flac_claiming(2**36 - 1),
    "a length to be found out": flac_claiming(0),
    "more samples than there are": flac_claiming(190_000_000),
    "65,535 channels": riff(bytes(2000), channels=65_535),
}


@pytest.mark.parametrize("content", CLAIMS.values(), ids=CLAIMS.keys())
def test_a_header_that_claims_too_much_is_refused(tmp_path: Path, content: bytes) -> None:
    refused(tmp_path / "x.wav", content)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 3e38, -2e10])
def test_samples_that_no_recording_has_are_refused(tmp_path: Path, value: float) -> None:
    content = floats(np.array([0, value, 0]), 8_000)
    assert "samples that" in refused(tmp_path / "x.wav", content)


def odd_file(path: Path, kind: str) -> Path:
    """Something at a path that is no file, or leads to none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind != "missing":
        path.symlink_to({"loop": path.name, "dangling": "gone", "device": "/dev/zero"}[kind])
    return path


def append_locked(path: Path) -> None:
    with files.locked(path):
        results.append(path, record())


@pytest.mark.parametrize("kind", ["folder", "pipe", "loop", "dangling", "device", "missing"])
def test_what_is_no_file_is_refused_and_never_waited_for(tmp_path: Path, kind: str) -> None:
    path = odd_file(tmp_path / "x.wav", kind)
    assert "no such sound file" in refusal(lambda: audio.load(path), path)
    if kind != "missing":
        path = odd_file(tmp_path / "03a01Na.wav", kind)
        assert "missing" in refusal(lambda: load_corpus("emodb", tmp_path), path)
        label_file(tmp_path).write_text(EVALUATION)
        path = odd_file(label_file(tmp_path, 1, "Ses01M_impro01"), kind)
        refusal(lambda: listed(tmp_path), path)
    path = odd_file(tmp_path / "r.jsonl", kind)
    assert "name a file that" in refusal(lambda: results.read_lines(path), path)
    if kind not in ("dangling", "missing"):
        assert "cannot write results" in refusal(partial(append_locked, path), path)
    path = odd_file(tmp_path / "m.safetensors", kind)
    assert "no such model file" in refusal(lambda: recogniser.load(path), path)


def test_names_that_the_system_refuses(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 300)
    emodb = (partial(load_corpus, "emodb"), partial(fetch.fetch, "emodb"))
    for read in (audio.load, recogniser.load, *emodb):
        refusal(partial(read, path), path)
    for use in (results.read_lines, append_locked):
        assert "File name too long" in refusal(partial(use, path), path)
    refusal(lambda: load_corpus("emodb", "~nobody-has-this/x"), "~nobody-has-this/x")


@few
@given(name=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1))
@example(name=os.fsdecode(b"\xff\xfe\x80"))  # no text in UTF-8
@example(name="Ελλη νικά")
@example(name="録音")
@example(name="\u202egnp.x")
def test_files_and_folders_of_any_script_are_read(tmp_path: Path, name: str) -> None:
    name = name[:60]
    if name in (".", ".."):
        return
    folder = tmp_path / name
    folder.mkdir(exist_ok=True)
    path = folder / "03a01Na.wav"
    path.write_bytes(riff(bytes(2000)))
    table = load_corpus("emodb", folder)
    assert list(table["path"]) == [str(path)] and list(table["samples"]) == [1000]
    assert len(audio.load(path.rename(folder / name))) == 1000
    model = folder / "m.safetensors"
    model.write_bytes(model_file())
    assert recogniser.load(model).experiment == EXPERIMENT
    model.unlink()
    (folder / name).unlink()


# Labels and trees --------------------------------------------------------------------------------

EVALUATION = HEAD + turn() + RATINGS + turn(f"{DIALOGUE}_F001", "ang")
EVALUATION += turn(f"{DIALOGUE}_F002", "xxx")


def listed(root: Path) -> dict[str, tuple[str, str]]:
    """Speaker and emotion of each utterance, which must be below its session's folder."""
    found = iemocap.utterances(root)
    for utterance in found:
        assert utterance.emotion in paper.EMOTIONS
        assert re.fullmatch(r"Ses\d\d[FM]", utterance.speaker)
        wavs = utterance.path.parents[1]
        assert wavs.parts[-2:] == ("sentences", "wav") and wavs.is_relative_to(root)
        assert ".." not in utterance.path.relative_to(root).parts
        assert utterance.path.name == f"{utterance.utterance}.wav"
        assert utterance.utterance.startswith(f"{utterance.path.parent.name}_")
    return {u.utterance: (u.speaker, u.emotion) for u in found}


GOOD = {f"{DIALOGUE}_M003": ("Ses01M", "neutral"), f"{DIALOGUE}_F001": ("Ses01F", "angry")}


def hostile_labels(rng: random.Random) -> bytes:
    kind = rng.choice(["bytes", "text", "text", "text", "encoding", "noise"])
    if kind == "bytes":
        return damaged(rng, EVALUATION.encode())
    if kind == "encoding":
        text = EVALUATION.replace("\n", rng.choice(["\n", "\r\n", "\r", "\u2028", "\0"]))
        encodings = ["utf-8-sig", "utf-16", "utf-16-be", "utf-32", "cp037"]
        return text.encode(rng.choice(encodings), "replace")
    if kind == "noise":
        return rng.randbytes(rng.choice([0, 1, 500])) + rng.choice([b"", turn().encode()])
    long = "_F" * rng.choice([1, 100_000]) + rng.choice(["", "."])
    turns = ["M003", "F001", "X001", "M/../../../../etc/passwd", "M\0", f"M{long}"]
    greek, arabic = f"{DIALOGUE}_\u039c003", "Ses\u0660\u0661F_impro04_F000"  # letter and digits
    names = [*(f"{DIALOGUE}_{each}" for each in turns), greek, arabic, "Ses02F_impro01_F000"]
    names += [DIALOGUE, "../../x", "/etc/passwd", ""]
    labels = ["neu", "hap", "sad", "ang", "exc", "xxx", "NEU", "", "neu ", "😀", "n" * 100_000]
    lines = EVALUATION.splitlines(keepends=True)
    for _ in range(rng.choice([1, 1, 2, 5])):
        line = turn(rng.choice(names), rng.choice(labels))
        if rng.random() < 0.2:
            line = line[: rng.randrange(len(line))] + rng.choice(["", "\n"])
        if rng.random() < 0.1:
            line = rng.choice(["[", "[1" + ".1" * 300_000, " " * 10**6, "[0 - 1]\t" * 9]) + line
        lines.insert(rng.randrange(len(lines) + 1), line)
    return "".join(lines).encode("utf-8", "surrogateescape")


def try_labels(root: Path, content: bytes) -> bool:
    label_file(root).write_bytes(content)
    return attempt(lambda: listed(root), root) is not None


@pytest.mark.parametrize("encoding", ["ascii", "utf-8-sig"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_labels_with_other_line_ends_are_read(tmp_path: Path, encoding: str, end: str) -> None:
    """The first of which stands there twice."""
    for text in (turn() + EVALUATION, EVALUATION + turn()):
        label_file(tmp_path).write_bytes(text.replace("\n", end).encode(encoding))
        assert listed(tmp_path) == GOOD


LABELS = {
    "another encoding": EVALUATION.encode("utf-16"),
    "nothing": b"",
    "a torn line": EVALUATION[:-30].encode(),
    "a column missing": (EVALUATION + f"[1.0 - 2.0]\t{DIALOGUE}_F003\n").encode(),
    "another dialogue": (EVALUATION + turn("Ses02M_impro01_F000")).encode(),
    "a name that climbs": (EVALUATION + turn("../../x")).encode(),
    "a name that climbs later": (EVALUATION + turn(f"{DIALOGUE}_F/../../x")).encode(),
    "two labels": (EVALUATION + turn(label="sad")).encode(),
    "two labels, one left out": (EVALUATION + turn(label="xxx")).encode(),
    "a speaker of no sex": (EVALUATION + turn(f"{DIALOGUE}_X001")).encode(),
    "a megabyte of underscores": (EVALUATION + turn("_F" * 500_000 + ".")).encode(),
    "a megabyte of name": (EVALUATION + turn(DIALOGUE + "_F" * 500_000 + ".")).encode(),
    "a megabyte of digits": (EVALUATION + "[" + "1." * 500_000 + "\n").encode(),
}


@pytest.mark.parametrize("content", LABELS.values(), ids=LABELS.keys())
def test_labels_that_would_give_a_wrong_table_are_refused(tmp_path: Path, content: bytes) -> None:
    refused(label_file(tmp_path), content, lambda _: listed(tmp_path))


def test_two_files_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    label_file(tmp_path, 1).write_text(EVALUATION)
    content = EVALUATION.replace("\tang\t", "\tsad\t").encode()
    assert "angry" not in refused(label_file(tmp_path, 2), content, lambda _: listed(tmp_path))


def test_a_file_where_a_folder_should_be_is_refused(tmp_path: Path) -> None:
    label_file(tmp_path).write_text(EVALUATION)
    path = tmp_path / "Session2" / "dialog" / "EmoEvaluation"
    path.parent.mkdir(parents=True)
    path.write_text("a file")
    refusal(lambda: listed(tmp_path), path)
    for name in ("ravdess", "emodb"):
        refusal(partial(load_corpus, name, path), path)


def test_folders_that_contain_themselves_are_walked_once(tmp_path: Path) -> None:
    root = tmp_path / "IEMOCAP"
    label_file(root).write_text(EVALUATION)
    for folder in (root, root / "Session1", root / "Session1" / "dialog"):
        (folder / "again").symlink_to(root)
    (root / "Session3").symlink_to("Session3")
    with bounded_time():
        assert listed(root) == listed(tmp_path) == GOOD
    (root / "wav").symlink_to(root)
    refusal(lambda: load_corpus("emodb", root), root)
    (root / "Actor_01").symlink_to(root)
    (root / "Actor_02").symlink_to("Actor_02")
    refusal(lambda: load_corpus("ravdess", root), root)


def test_digits_of_other_scripts_name_no_speaker(tmp_path: Path) -> None:
    folder = tmp_path / "Actor_12"
    folder.mkdir()
    for name in ("\u0660\u0663a\u0660\u0661Na.wav", "03-01-04-01-02-01-\u0661\u0662.wav"):
        (folder / name).write_bytes(riff(bytes(200)))
    for corpus, root in (("emodb", folder), ("ravdess", tmp_path)):
        refusal(partial(load_corpus, corpus, root), root)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_must_not_be_read_is_refused(tmp_path: Path) -> None:
    wav = tmp_path / "03a01Na.wav"
    wav.write_bytes(riff(bytes(200)))
    label_file(tmp_path).write_text(EVALUATION)
    label_file(tmp_path, 2, "Ses02F_impro01").write_text(turn("Ses02F_impro01_F000"))
    model = tmp_path / "m.safetensors"
    model.write_bytes(model_file())
    reads = [lambda: audio.load(wav), lambda: recogniser.load(model), lambda: listed(tmp_path)]
    locked = [wav, model, label_file(tmp_path), label_file(tmp_path, 2).parent]
    for path, read in zip(locked, [*reads, reads[-1]], strict=True):
        path.chmod(0)
        refusal(read, path)
        path.chmod(0o700)
    tmp_path.chmod(0)
    for read in reads[:2]:
        refusal(read, tmp_path)
    for name in ("emodb", "iemocap", "ravdess"):
        refusal(partial(load_corpus, name, tmp_path), tmp_path)
    tmp_path.chmod(0o700)


# Archives ----------------------------------------------------------------------------------------


URL = "http://localhost/download.zip"
RECORDINGS = {"03a01Na.wav": riff(bytes(2000)), "08a01Wa.wav": riff(bytes(1000))}
MEMBERS = {f"wav/{name}": content for name, content in RECORDINGS.items()}
LINES = sorted(f"{sha256(content).hexdigest()}  {name}\n" for name, content in RECORDINGS.items())
PUBLISHED = Archive(URL, emodb.NAME, sha256("".join(LINES).encode()).hexdigest())


def try_archive(folder: Path, content: bytes) -> bool:
    """Whether the corpus is unpacked; nothing else may be left, outside or inside."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "in").mkdir(parents=True)
    archive = folder / "download.zip"
    archive.write_bytes(content)
    ours = {"emodb": replace(emodb.CORPUS, archive=PUBLISHED)}
    with patch.object(fetch, "_download", return_value=archive), patch.dict(CORPORA, ours):
        made = attempt(lambda: fetch.fetch("emodb", folder / "in" / "emodb"), URL)
    left = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    good = {f"in/emodb/wav/{name}" for name in RECORDINGS} if made else set()
    assert left == {"download.zip"} | good
    assert made or not list((folder / "in").iterdir())
    return made is not None


METHODS = [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]


def hostile_archive(rng: random.Random) -> bytes:
    more = {
        "wav/": b"",
        "../evil.txt": b"evil",
        "wav/03a02Na.wav/../../../evil": b"evil",
        "inner.zip": zipped(RECORDINGS),
        "wav/09a01Na.wav": bytes(rng.choice([10, 11_000_000])),
        "wáv/\u202e.wav": b"?",
    }
    added = rng.sample(sorted(more), rng.choice([0, 0, 1, 2]))
    members = MEMBERS | {name: more[name] for name in added}
    return damaged(rng, zipped(members, rng.choice(METHODS)))


# Models ------------------------------------------------------------------------------------------

EXPERIMENT = Experiment(
    network=Network(stems=((3, 2),), stem_channels=2, trunk=(3,), pools=(2,), stride=(8, 8))
)


def pieces() -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """The weights of a small model, and what its file says beside them, not yet text."""
    torch.manual_seed(0)
    weights = build_network(EXPERIMENT.network).state_dict()
    said = {
        "format": recogniser.FORMAT,
        "version": "0.1.0",
        "emotions": list(paper.EMOTIONS),
        "experiment": json.loads(json.dumps(asdict(EXPERIMENT))),
        "limits": None,
        "card": {"corpus": {"name": "emodb"}},
    }
    return weights, said


def packed_model(weights: dict[str, torch.Tensor], said: dict[str, Any]) -> bytes:
    """A model file with a checksum that fits, as somebody would make it who means harm."""
    texts = {name: s if isinstance(s, str) else json.dumps(s) for name, s in said.items()}
    texts["sha256"] = recogniser._checksum(weights, texts)
    return safetensors.torch.save(weights, texts)


def model_file() -> bytes:
    return packed_model(*pieces())


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("executed",)


DEEP = "[" * 100_000
ODD = [None, True, 0, -1, 1, 0.5, 10**9, 10**30, -(2**63), math.nan, math.inf, "", "x", "\0", DEEP]
ODD += [[], {}, [1] * 1000, [[1, 1]] * 1000, [10**9] * 4, [0.5, 0.1]]


def mangled(rng: random.Random, value: Any) -> Any:
    """JSON of which one part is another, more or missing."""
    if not value or not isinstance(value, dict | list) or rng.random() < 0.2:
        return rng.choice(ODD)
    if isinstance(value, list):
        i = rng.randrange(len(value))
        return [*value[:i], mangled(rng, value[i]), *value[i + rng.randrange(2) :]]
    key = rng.choice([*value, "fold", "format", "é"])
    changed = value | {key: mangled(rng, value.get(key))}
    return changed if rng.random() < 0.8 else {k: v for k, v in value.items() if k != key}


def hostile_model(rng: random.Random) -> bytes:
    kind = rng.choice(["bytes", "bytes", "said", "said", "said", "weights", "header", "other"])
    weights, said = pieces()
    if kind == "bytes":
        return damaged(rng, packed_model(weights, said))
    if kind == "said":
        part = rng.choice([*said, *["experiment"] * 4])
        said[part] = mangled(rng, said[part])
        if rng.random() < 0.1:
            del said[part]
        return packed_model(weights, said)
    if kind == "weights":
        name = rng.choice(sorted(weights))
        tensor = weights[name]
        changes = [torch.full_like(tensor, -1), tensor.float() * math.nan, tensor.double()]
        changes += [tensor.half(), tensor.bool(), tensor[None], torch.zeros(0)]
        changes += [tensor.flatten()[:-1].clone(), torch.full(tensor.shape, 3e38)]
        weights[name] = rng.choice(changes).contiguous()
        if rng.random() < 0.2:
            weights[rng.choice(["", "x", "stems", "é"])] = weights.pop(name)
        return packed_model(weights, said)
    if kind == "header":
        shape = rng.choice([[2**40], [2**62, 4], [0], [-1], [2**64], [1] * 10_000, "x", [1.5]])
        end = rng.choice([0, 4, 2**40, 2**63, 2**64 - 1, -1])
        entry = {"dtype": rng.choice(["F32", "I64", "F4", "X"]), "shape": shape}
        text = json.dumps({"w": entry | {"data_offsets": [0, end]}} | rng.choice([{}, {"w": 1}]))
        text = rng.choice([text, "[" * 50_000, "{" + '"":' * 50_000, "null", "\xff", ""])
        size = rng.choice([len(text), 0, 1, 10**8, 2**63, 2**64 - 1])
        return struct.pack("<Q", size) + text.encode("latin-1") + bytes(4)
    pickled = io.BytesIO()
    torch.save({"model": torch.zeros(3)}, pickled)
    return rng.choice([pickle.dumps(Evil()), pickled.getvalue(), b"", b"\0" * 8, rng.randbytes(99)])


WAVEFORM = torch.randn(33_000, generator=torch.Generator().manual_seed(0)) / 10


def try_model(path: Path, content: bytes) -> bool:
    """Whether the model is read; if so it must give scores, or say that it cannot."""
    path.write_bytes(content)
    loaded = attempt(lambda: recogniser.load(path), path)
    assert not Path("executed").exists()
    if loaded is not None:
        scores = attempt(lambda: recogniser.scores(loaded, WAVEFORM), "the model")
        assert scores is None or all(map(math.isfinite, scores.values()))
    return loaded is not None


@few
@given(bit=st.integers(0, 8 * len(model_file()) - 1))
def test_a_model_with_a_flipped_bit_is_refused(tmp_path: Path, bit: int) -> None:
    content = bytearray(model_file())
    content[bit // 8] ^= 1 << bit % 8
    refused(tmp_path / "m.safetensors", content, recogniser.load)


def test_a_pickle_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    refused(tmp_path / "m.safetensors", pickle.dumps(Evil()), recogniser.load)
    assert not (tmp_path / "executed").exists()


def settings_of(**changes: Any) -> Experiment:
    return replace(EXPERIMENT, network=replace(EXPERIMENT.network, **changes))


TOO_LARGE = {
    "a billion channels": settings_of(stem_channels=10**9, trunk=(10**9,)),
    "a filter of a billion": settings_of(stems=((10**9, 10**9),)),
    "a filter of a minute": settings_of(stems=((1, 6000),)),
    "a million layers": settings_of(trunk=(1,) * 100_000),
    "thousands of stems": settings_of(stems=((1, 1),) * 50_000),
    "channels that eat memory": settings_of(stem_channels=100_000, trunk=()),
    "no stem": settings_of(stems=()),
    "pools that leave nothing": settings_of(pools=(2,), trunk=(3,), stride=(400, 200)),
}


@pytest.mark.parametrize("experiment", TOO_LARGE.values(), ids=TOO_LARGE.keys())
def test_settings_that_ask_for_too_much_are_refused(tmp_path: Path, experiment: Experiment) -> None:
    weights, said = pieces()
    content = packed_model(weights, said | {"experiment": asdict(experiment)})
    refused(tmp_path / "m.safetensors", content, recogniser.load)


@pytest.mark.parametrize("limits", [None, [1.0], [2.0, 1.0], [0.0, math.nan], ["a", "b"], {"a": 1}])
def test_limits_that_are_none_are_refused(tmp_path: Path, limits: Any) -> None:
    weights, said = pieces()
    said["experiment"]["front_end"]["scale"] = "training-set"
    path = tmp_path / "m.safetensors"
    path.write_bytes(packed_model(weights, said | {"limits": [0.0, 5.0]}))
    assert recogniser.load(path).limits == (0.0, 5.0)
    refused(path, packed_model(weights, said | {"limits": limits}), recogniser.load)


def test_a_model_too_large_for_its_file_is_not_trained() -> None:
    nothing = pd.DataFrame(columns=["samples", "speaker", "utterance", "emotion"])
    with pytest.raises(ReproError, match="too large"):
        recogniser.train(nothing, settings_of(stem_channels=1000))


# Results -----------------------------------------------------------------------------------------


def hostile_line(rng: random.Random) -> bytes:
    kind = rng.choice(["mangled", "mangled", "bytes", "noise", "good"])
    if kind == "noise":
        return rng.choice([b"", DEEP.encode(), b"1" * 5000, b"\xff\xfe{", rng.randbytes(50)])
    good = record(seed=rng.randrange(3))
    line = json.dumps(mangled(rng, good) if kind == "mangled" else good).encode()
    return damaged(rng, line) if kind == "bytes" else line


def hostile_results(rng: random.Random) -> bytes:
    lines = [hostile_line(rng) for _ in range(rng.choice([1, 1, 2, 4]))]
    content = b"\n".join(lines) + rng.choice([b"\n", b"\n", b"", b"\r\n"])
    return damaged(rng, content) if rng.random() < 0.1 else content


def try_results(path: Path, content: bytes) -> bool:
    """Whether the file is read; every fold in it must then be in the table, and whole."""
    path.write_bytes(content)
    records = attempt(lambda: results.read_lines(path), path)
    tables = attempt(lambda: results.read(path), path)
    assert (records is None) == (tables is None)
    if records is not None and tables is not None:
        assert len(tables.folds) == len(records)
        utterances = [name for r in records for name in r["predictions"]["utterance"]]
        assert len(tables.predictions) == len(utterances)
        if utterances:
            assert tables.predictions["predicted"].isin(paper.EMOTIONS).all()
            assert list(tables.predictions["utterance"]) == utterances
    return records is not None


# All of them -------------------------------------------------------------------------------------

# How many are counted, where they lie, what makes them and what reads them.
TRIED: dict[str, tuple[int, str, Callable[[random.Random], bytes], Callable[..., bool]]] = {
    "audio": (900, "x.wav", hostile_sound, try_sound),
    "labels": (600, "IEMOCAP", hostile_labels, try_labels),
    "models": (600, "m.safetensors", hostile_model, try_model),
    "results": (600, "r.jsonl", hostile_results, try_results),
    "archives": (200, "archives", hostile_archive, try_archive),
}


@pytest.mark.slow
def test_thousands_of_hostile_inputs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    rng = random.Random(20180902)
    start = time.perf_counter()
    read: Counter[str] = Counter()
    for kind, (number, name, make, try_one) in TRIED.items():
        for i in range(number):
            try:
                read[kind] += try_one(tmp_path / name, make(rng))
            except Exception as error:
                error.add_note(f"{kind} {i} of seed 20180902")
                raise
        assert 0 < read[kind] < number  # neither all good nor all hopeless
    tried = sum(number for number, *_ in TRIED.values())
    of_each = ", ".join(f"{kind} {number}" for kind, (number, *_) in TRIED.items())
    with capsys.disabled():
        print(
            f"\nhostile input: {tried:,} tried ({of_each}), {tried - read.total():,} refused in "
            f"one line, {read.total():,} read, 0 tracebacks, {time.perf_counter() - start:.0f} s"
        )
    assert tried >= 2000

import json
import resource
from functools import partial
from io import FileIO
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_up import FP32, RECORD, file_of, record

from repro import paper, results
from repro.errors import ReproError
from repro.results import audit, files


@settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    variant=st.text(st.characters(exclude_categories=["Cs"])),
    seed=st.integers(0, 2**31),
    history=st.lists(st.floats(allow_nan=False, allow_infinity=False)),
)
def test_lines_are_read_back(tmp_path: Path, variant: str, seed: int, history: list[float]) -> None:
    path = tmp_path / "new" / "folder" / "r.jsonl"
    path.unlink(missing_ok=True)
    one, other = record(variant=variant, seed=seed, history=history), record(variant=variant + "x")
    assert results.read_lines(file_of(path, one, other)) == [one, other]


def test_read_gives_tidy_tables(path: Path) -> None:
    file_of(path, record(), record(fold="08", history=[3.0]))
    tables = results.read(path)
    assert tables.folds["fold"].to_list() == ["03", "08"]
    assert tables.folds["seconds"].to_list() == [1.5, 1.5]
    assert tables.folds["experiment"][0] == RECORD["experiment"]
    losses = tables.history[["fold", "epoch", "loss"]].to_numpy().tolist()
    assert losses == [["03", 1, 1.4], ["03", 2, 1.2], ["08", 1, 3.0]]
    predictions = tables.predictions
    assert predictions["predicted"].to_list() == ["happy", "neutral"] * 2
    assert predictions["emotion"].to_list() == ["happy", "angry"] * 2
    assert predictions[list(paper.EMOTIONS)].iloc[0].to_list() == [0.1, 0.6, 0.2, 0.1]
    assert set(predictions["corpus"]) == {"emodb"}
    assert set(predictions["corpus_hash"]) == {"ba9876543210"}
    assert set(predictions["average"]) == {"pooled"}


def test_read_keeps_what_was_asked_for(path: Path) -> None:
    file_of(path, record(), record(study="filter-shapes", variant="10x2"))
    assert results.read(path, study={"pooling"}).folds["variant"].to_list() == ["gap"]
    assert results.read(path, study={"pooling"}, variant={"10x2"}).predictions.empty
    assert len(results.read(path, corpus={"emodb"}).folds) == 2
    assert results.read(path, corpus={"iemocap"}).folds.empty


# A killed run ------------------------------------------------------------------------------------


def test_a_last_line_that_is_whole_counts_without_its_end(path: Path) -> None:
    whole = file_of(path, record(), record(fold="08")).read_bytes()
    path.write_bytes(whole[:-1])
    outcome = audit.check(path)
    assert (outcome.folds, outcome.faults) == (2, [])
    assert audit.merge([path], path.with_name("merged.jsonl")) == 2
    assert path.with_name("merged.jsonl").read_bytes() == whole


def test_a_whole_last_line_of_another_version_is_not_cut(path: Path) -> None:
    newer = json.dumps(record(format=2)).encode()
    path.write_bytes(newer)
    with pytest.raises(ReproError, match=r"r\.jsonl, line 1: .*newer version"):
        results.read_lines(path)
    results.require_writable(path)
    assert path.read_bytes() == newer + b"\n"


def test_of_two_equal_folds_the_first_counts(path: Path) -> None:
    second = record(history=[9.0])
    file_of(path, record(), second)
    assert results.read_lines(path) == [record()]
    assert len(results.read(path).predictions) == 2


def test_folds_that_differ_in_what_they_are_all_count(tmp_path: Path) -> None:
    zeros = "000000000000"
    changes: dict[str, Any] = {"study": "filter-shapes", "variant": "attention", "key": zeros}
    changes |= {"corpus": {"name": "emodb", "hash": zeros}, "fold": "08", "seed": 1}
    for name, value in changes.items():
        assert results.identity(record(**{name: value})) != results.identity(record())
        file_of(tmp_path / name, record(), record(**{name: value}))
        assert len(results.read_lines(tmp_path / name)) == 2


def test_what_does_not_make_a_fold_another_fold() -> None:
    renamed = {"name": "x", "hash": "ba9876543210"}
    other = record(preset="demo", history=[], provenance={}, corpus=renamed)
    assert results.identity(other) == results.identity(record())


def test_cut_at_any_byte_a_file_is_read_and_goes_on(path: Path) -> None:
    file_of(path, record(), record(fold="08"), record(fold="09"))
    whole = path.read_bytes()
    ends = [place for place, byte in enumerate(whole) if byte == ord("\n")]
    for length in range(len(whole) + 1):
        path.write_bytes(whole[:length])
        held = results.read_lines(path)
        assert held == [record(), record(fold="08"), record(fold="09")][: len(held)]
        assert len(held) == sum(length >= end for end in ends)
        assert path.read_bytes() == whole[:length]  # reading changes nothing
        if length < 100 or length >= ends[1]:  # resumed
            results.require_writable(path)
            for fold in ("03", "08", "09")[len(held) :]:
                results.append(path, record(fold=fold))
            assert path.read_bytes() == whole


ZEROS = [begun + b"\0" * zeros for begun in (b"", b'{"key": "01') for zeros in (1, 4096)]


@pytest.mark.parametrize("torn", [*ZEROS, b"  "], ids=len)
def test_zeros_of_a_power_cut_and_blanks_are_a_torn_line(path: Path, torn: bytes) -> None:
    whole = file_of(path, record(), record(fold="08")).read_bytes()
    path.write_bytes(whole.splitlines(keepends=True)[0] + torn)
    assert results.read_lines(path) == [record()]
    results.append(path, record(fold="08"))
    assert path.read_bytes() == whole


# A line that cannot be written -------------------------------------------------------------------


def test_a_part_of_a_line_is_cut_again(path: Path) -> None:
    file_of(path, record())
    content = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    for room in (0, 1, 100):
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(content) + room, limits[1]))
        try:
            with pytest.raises(ReproError, match=r"r\.jsonl: cannot write results \(File too l"):
                results.append(path, record(fold="08"))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert path.read_bytes() == content
    results.append(path, record(fold="08"))
    assert results.read_lines(path) == [record(), record(fold="08")]


@pytest.mark.parametrize("stop", [OSError(5, "Input/output error"), KeyboardInterrupt()])
def test_a_line_that_is_not_synced_does_not_count(
    path: Path, stop: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    file_of(path, record())
    content = path.read_bytes()

    with monkeypatch.context() as patch:
        patch.setattr(results.os, "fsync", Mock(side_effect=stop))
        with pytest.raises((ReproError, KeyboardInterrupt)):
            results.append(path, record(fold="08"))
    assert path.read_bytes() == content


def test_a_write_in_pieces_is_a_whole_line(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Dripping(FileIO):
        def write(self, content: Any) -> int:
            return super().write(content[:7])

    monkeypatch.setattr(Path, "open", lambda self, mode, buffering: Dripping(self, mode))
    results.append(path, record())
    monkeypatch.undo()
    assert results.read_lines(path) == [record()]


# One run at a time -------------------------------------------------------------------------------


def test_a_file_is_held_by_one(tmp_path: Path) -> None:
    path = tmp_path / "new" / "r.jsonl"
    with files.locked(path):
        results.append(path, record())  # the holder writes
        fault = pytest.raises(ReproError, match=r"r\.jsonl: another run is writing")
        with fault as error, files.locked(path):
            pass
        assert "\n" not in str(error.value)
        (link := tmp_path / "link.jsonl").symlink_to(path)
        with pytest.raises(ReproError, match=r"link\.jsonl: another run"), files.locked(link):
            pass
        with files.locked(tmp_path / "other.jsonl"):
            pass
    with files.locked(path):
        pass
    with pytest.raises(ReproError, match="cannot write results"), files.locked(tmp_path):
        pass


def test_systems_without_locks_still_run(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    none = Mock(side_effect=OSError(38, "Function not implemented"))
    monkeypatch.setattr("fcntl.flock", none)
    with files.locked(path):
        pass


# Faults ------------------------------------------------------------------------------------------

FOREIGN = [
    *(b"Dear diary,\nnothing happened", b"Dear diary,\nnothing happened\n", b"no end of line"),
    *(b"{}\n", b"[]\n", b"1\n", b'"key study variant preset experiment"\n', b"null\n"),
    *(b"\n", b"\x00\xff\xfe\n"),
]


@pytest.mark.parametrize("content", FOREIGN)
def test_a_file_of_another_kind_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "diary.txt"
    path.write_bytes(content)
    sources = [file_of(tmp_path / "good", record()), path]
    for read in (partial(results.read_lines, path), partial(audit.merge, sources, tmp_path / "m")):
        with pytest.raises(ReproError, match=r"diary\.txt") as error:
            read()
        assert "\n" not in str(error.value)
    if not content.endswith(b"\n"):  # nor is such an end taken for a torn line
        append = partial(results.append, record=record())
        for use in (audit.check, results.require_writable, append):
            with pytest.raises(ReproError, match=r"diary\.txt: not a results file"):
                use(path)
    assert path.read_bytes() == content and not (tmp_path / "m").exists()


def test_a_setting_has_one_name_however_an_earlier_version_wrote_it(path: Path) -> None:
    file_of(path, record(preset="coarse, network.stride=(1, 1)"))
    assert results.read(path).folds["preset"].to_list() == ["coarse, network.stride=1,1"]


def test_an_unwritable_path_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    for path in (tmp_path, tmp_path / "file" / "r.jsonl"):
        with pytest.raises(ReproError, match="cannot write results"):
            results.append(path, record())
        for read in (results.read, audit.check):
            with pytest.raises(ReproError, match="name a file that `repro run`"):
                read(path)


def test_a_score_that_is_no_number_is_not_written(path: Path) -> None:
    file_of(path, record())
    content = path.read_bytes()
    with pytest.raises(ValueError, match="not JSON compliant"):
        results.append(path, record(fold="08", history=[float("nan")]))
    assert path.read_bytes() == content


def test_a_line_may_say_its_format_and_hold_more(path: Path) -> None:
    """As a later version may write it, as long as what is known means the same."""
    file_of(path, record(format=1, note="x", predictions=RECORD["predictions"] | {"sure": [1, 2]}))
    tables = results.read(path)
    assert "sure" not in tables.predictions and len(tables.predictions) == 2
    protocol = RECORD["experiment"]["protocol"] | {"study": ["x"], "name": "zz"}
    file_of(path, record(fold="08", experiment={"protocol": protocol}))
    [tally] = audit.check(path).tallies
    assert (tally.study, tally.corpus, tally.folds) == ("pooling", "emodb", 2)


def test_provenance_cannot_rename_a_fold(path: Path) -> None:
    said = {"precision": "fp32", "study": "other", "fold": "99"}
    file_of(path, record(provenance=said))
    folds = results.read(path).folds
    assert (folds["study"][0], folds["fold"][0]) == ("pooling", "03")


# Attention maps ----------------------------------------------------------------------------------

NAN, INF = float("nan"), float("inf")
PICTURE = {"shape": [1, 2], "low": 0.0, "high": 1.0, "data": "AP8="}
ATTENTION: dict[str, Any] = {name: [0.25, None] for name in results.ATTENTION_COLUMNS} | {
    "examples": [{"utterance": "03a01Wé"} | dict.fromkeys(results.PICTURES, PICTURE)]
}


def test_attention_maps_are_read(path: Path) -> None:
    file_of(path, record(), record(fold="08", attention=ATTENTION))
    tables = results.read(path)
    assert tables.attention["fold"].to_list() == ["08", "08"]
    assert tables.attention["spread"].isna().to_list() == [False, True]
    assert tables.attention["predicted"].to_list() == ["happy", "neutral"]
    [example] = tables.examples.itertuples()
    assert example.utterance == "03a01Wé"
    assert (example.emotion, example.predicted) == ("angry", "neutral")
    assert example.segment.tolist() == [[0.0, 1.0]]
    assert results.read(path, fold={"03"}).attention.empty


EXAMPLE = ATTENTION["examples"][0]
EXAMPLES: list[dict[str, Any]] = [{"utterance": "somebody else"}, {"top_down": "AP8="}]
PICTURES: list[dict[str, Any]] = [{"shape": [2, 2]}, {"shape": None}, {"high": 1e999}]
EXAMPLES += [{"segment": PICTURE | each} for each in PICTURES]
NO_ATTENTION: list[Any] = [
    *(None, 1, "maps", [], {}),
    *(ATTENTION | {"spread": each} for each in (None, [0.5])),
    *(ATTENTION | {"spread": [0.5, each]} for each in (1.5, NAN, "0.5", True)),
    *(ATTENTION | {"examples": each} for each in (None, [], [EXAMPLE, EXAMPLE])),
    ATTENTION | {"examples": [{"utterance": "03a01Wé"}]},
    *(ATTENTION | {"examples": [EXAMPLE | each]} for each in EXAMPLES),
]


# Lines that are no finished folds ----------------------------------------------------------------

PROTOCOL = RECORD["experiment"]["protocol"]
# Values that a field of a line cannot have.
WRONG: dict[str, list[Any]] = {
    "key": [1],
    "study": [None],
    "variant": [["gap"], "\ud800"],
    "preset": [{}],
    "fold": [3, ["03"]],
    "seed": ["0", True, -1, 2**64, 0.5],
    "corpus": ["emodb", {"name": "emodb"}, {"name": 1, "hash": "x"}, []],
    "experiment": [
        *({"protocol": PROTOCOL | change} for change in ({"average": "median"}, {"folds": None})),
        *({"protocol": {k: v for k, v in PROTOCOL.items() if k != f}} for f in ("folds", "labels")),
        *({}, 1),
    ],
    "provenance": [[], {}, FP32 | {"statistics": ["exact"]}],
    "history": [1.0, ["1.0"], [NAN], [INF], [10**400]],
    "predictions": [[], {}, {name: [] for name in RECORD["predictions"]}],
    "attention": NO_ATTENTION,
    "diverged": [True, 1, "yes"],
    "format": [2, "2", None],
}
WRONG_PREDICTIONS: dict[str, list[Any]] = {
    "utterance": [["a"], ["a", "a"], [1, 2], "ab"],
    "emotion": [["happy", "bored"], ["happy", []]],
    "sad": [[0.1], *([0.1, each] for each in (None, "0.2", True, NAN)), {"0": 0.1, "1": 0.2}],
    "sad logit": [[0.1, NAN], [0.1, "0.2"]],
    "samples": [[32_000, NAN], [32_000, "long"]],
}
for name, values in WRONG_PREDICTIONS.items():
    WRONG["predictions"] += [RECORD["predictions"] | {name: value} for value in values]
SPOILT = [("not JSON", line) for line in (b"garbage", b"", b"\xff")]
TOO_MUCH = (b"[" * 100_000, b'{"a":' * 100_000, b"9" * 10_000)  # for the parser
SPOILT += [("not JSON", line) for line in TOO_MUCH]
for name in results.FITS:
    lacking = {each: value for each, value in RECORD.items() if each != name}
    SPOILT.append((f"missing: {name}", json.dumps(lacking).encode()))
for name, values in WRONG.items():
    fault = "newer version" if name == "format" else f"invalid {name}"
    SPOILT += [(fault, json.dumps(RECORD | {name: value}).encode()) for value in values]


@pytest.mark.parametrize(("fault", "line"), SPOILT, ids=[fault for fault, _ in SPOILT])
def test_a_spoilt_line_is_named_by_file_and_number(path: Path, fault: str, line: bytes) -> None:
    file_of(path, record())
    path.write_bytes(path.read_bytes() + line + b"\n")
    results.append(path, record(fold="08"))
    content = path.read_bytes()
    for read in (results.read_lines, results.read):
        with pytest.raises(ReproError, match=rf"r\.jsonl, line 2: .*{fault}") as error:
            read(path)
        assert "\n" not in str(error.value)
    assert path.read_bytes() == content

import json
from pathlib import Path
from unittest.mock import Mock

import pytest
from made_up import RECORD, file_of, record

from repro import results
from repro.errors import ReproError
from repro.results import audit

OTHER = {"predictions": RECORD["predictions"] | {"neutral": [0.2, 0.7]}}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Two variants with the same two folds."""
    folds = ((v, f) for v in ("gap", "attention") for f in ("03", "08"))
    return file_of(tmp_path / "r.jsonl", *(record(variant=v, key=v, fold=f) for v, f in folds))


# Check -------------------------------------------------------------------------------------------


def test_a_whole_file_is_counted(path: Path) -> None:
    content = path.read_bytes()
    outcome = audit.check(path)
    assert outcome.ok and outcome.faults == [] and outcome.folds == 4
    found = [(t.variant, t.folds, t.missing) for t in outcome.tallies]
    assert found == [("gap", 2, []), ("attention", 2, [])]
    assert outcome.text().splitlines() == [
        f"{path}: 4 finished folds",
        "pooling, smoke, emodb (ba9876543210)",
        "  gap          2 folds, seeds: 0",
        "  attention    2 folds, seeds: 0",
    ]
    assert json.loads(json.dumps(outcome.as_dict()))["ok"] is True
    assert path.read_bytes() == content


def test_studies_presets_and_corpora_are_counted_apart(tmp_path: Path) -> None:
    path = file_of(
        tmp_path / "r.jsonl",
        record(),
        record(preset="demo", key="1", fold="08"),
        record(study="filter-shapes", variant="2x2", fold="09"),
        record(corpus={"name": "emodb", "hash": "000000000000"}, fold="10"),
    )
    outcome = audit.check(path)
    assert outcome.ok  # none of them lacks what only another has
    assert [t.folds for t in outcome.tallies] == [1, 1, 1, 1]
    assert [(t.study, t.preset, t.corpus_hash[:2]) for t in outcome.tallies] == [
        ("pooling", "smoke", "ba"),
        ("pooling", "smoke", "00"),
        ("pooling", "demo", "ba"),
        ("filter-shapes", "smoke", "ba"),
    ]


def faults(path: Path) -> list[str]:
    content = path.read_bytes()
    outcome = audit.check(path)
    assert not outcome.ok and outcome.as_dict()["ok"] is False
    told = [line for line in outcome.text().splitlines() if line.startswith("wrong: ")]
    assert told == [f"wrong: {fault}" for fault in outcome.faults]
    assert path.read_bytes() == content
    return outcome.faults


def test_what_one_variant_lacks_is_listed(path: Path) -> None:
    file_of(path, record(variant="gap", key="gap", fold="08", seed=1))
    name = "pooling attention (smoke, emodb)"
    assert faults(path) == [f"{name}: missing fold 08, seed 1"]
    assert [tally.seeds for tally in audit.check(path).tallies] == [[0, 1], [0]]
    file_of(path, record(variant="bilinear", key="bilinear"))
    assert len(faults(path)) == 1 + 2  # bilinear has 1 of 3


def test_variants_that_split_a_corpus_otherwise_lack_no_folds_of_each_other(path: Path) -> None:
    protocol = RECORD["experiment"]["protocol"] | {"folds": "random"}
    split = {"variant": "random", "key": "random", "experiment": {"protocol": protocol}}
    file_of(path, *(record(**split, fold=fold, seed=0) for fold in ("part01", "part02")))
    assert audit.check(path).ok
    file_of(path, record(**split | {"variant": "other", "key": "other"}, fold="part01"))
    assert faults(path) == ["pooling other (smoke, emodb): missing fold part02, seed 0"]


def test_a_variant_with_other_labels_lacks_the_folds_of_its_study(path: Path) -> None:
    protocol = RECORD["experiment"]["protocol"] | {"labels": "hap+exc"}
    merged = {"variant": "hap+exc", "key": "merged", "experiment": {"protocol": protocol}}
    corpus = RECORD["corpus"] | {"hash": "fedcba987654"}
    file_of(path, record(**merged, corpus=corpus, fold="03"))
    assert faults(path) == ["pooling hap+exc (smoke, emodb): missing fold 08, seed 0"]
    file_of(path, record(**merged, corpus=corpus, fold="08"))
    assert audit.check(path).ok


def test_a_fold_that_is_there_twice(path: Path) -> None:
    again = record(variant="gap", key="gap", fold="08")
    [fault] = faults(file_of(path, again))
    assert fault.startswith("line 5: the fold of line 2 again (pooling gap, fold 08, seed 0)")
    assert "the same predictions" in fault
    assert "OTHER predictions" in faults(file_of(path, again | OTHER))[1]


def test_a_torn_end_and_foreign_lines(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content + b'{"key": "to')
    assert faults(path) == ["11 bytes of an unfinished line at the end; the next fold cuts them"]
    path.write_bytes(b"Dear diary\n" + content + b'{"key": 1}\n')
    found = faults(path)
    assert [fault[:9] for fault in found] == ["line 1: n", "line 6: n"]
    assert "not JSON" in found[0] and "missing: study" in found[1]
    assert audit.check(path).folds == 4


def test_two_settings_under_one_name(path: Path) -> None:
    [fault] = faults(file_of(path, record(variant="gap", key="other")))
    assert fault == "pooling gap (smoke, emodb): folds of 2 different settings under one name"


@pytest.mark.parametrize(
    ("name", "values", "what"),
    [
        ("precision", ("bf16", "fp32"), "precisions, 2 in bf16 and 1 in fp32"),
        # An earlier version did not say how it added up.
        ("statistics", (None, "exact"), "batch statistics, 2 in torch and 1 in exact"),
    ],
)
def test_folds_of_two_ways_of_computing_are_a_mix(
    name: str, values: tuple[str | None, str], what: str, tmp_path: Path
) -> None:
    said = (RECORD["provenance"] | ({name: value} if value else {}) for value in values)
    one, other = ({"provenance": each} for each in said)
    path = file_of(tmp_path / "r", *(record(variant=v, key=v, **one) for v in ("gap", "attention")))
    file_of(path, record(variant="bilinear", key="bilinear", **other))
    file_of(path, record(preset="demo", key="1", **other))
    assert audit.check(path).faults == [f"pooling (smoke, emodb): folds of different {what}"]


def test_nothing_is_wrong_with_an_empty_file(path: Path) -> None:
    path.write_bytes(b"")
    assert audit.check(path).ok and audit.check(path).folds == 0


# Merge -------------------------------------------------------------------------------------------


def test_files_become_one_with_each_fold_once(tmp_path: Path) -> None:
    a = file_of(tmp_path / "a", record(), record(fold="08"))
    again = record(fold="08", history=[7.0], provenance={"precision": "fp32", "seconds": 9})
    b = file_of(tmp_path / "b", again, record(fold="09"))
    whole = a.read_bytes()
    a.write_bytes(whole + b'{"key": "torn')
    target = tmp_path / "new" / "c"
    assert audit.merge([a, b], target) == 3
    assert results.read_lines(target) == [record(), record(fold="08"), record(fold="09")]
    assert target.read_bytes().startswith(whole)  # to the byte
    assert [path.name for path in target.parent.iterdir()] == ["c"]
    assert audit.merge([target, target], tmp_path / "d") == 3
    assert (tmp_path / "d").read_bytes() == target.read_bytes()


def test_a_mix_is_merged_with_a_word(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a = file_of(tmp_path / "a", record())
    b = file_of(tmp_path / "b", record(fold="08", provenance={"precision": "bf16"}))
    assert audit.merge([a, b], tmp_path / "c") == 2
    [said] = capsys.readouterr().err.splitlines()
    assert said.startswith(f"repro: {tmp_path / 'c'}: pooling (smoke, emodb): folds of different ")


def refused(sources: list[Path], target: Path, *words: str) -> None:
    before = {path: path.read_bytes() for path in target.parent.iterdir() if path.is_file()}
    with pytest.raises(ReproError) as error:
        audit.merge(sources, target)
    assert "\n" not in str(error.value)
    for word in words:
        assert word in str(error.value)
    assert {p: p.read_bytes() for p in target.parent.iterdir() if p.is_file()} == before


def test_a_conflict_names_both_files(tmp_path: Path) -> None:
    a = file_of(tmp_path / "a", record(), record(fold="08"))
    b = file_of(tmp_path / "b", record(fold="09"), record(fold="08") | OTHER)
    refused([a, b], tmp_path / "c", str(a), str(b), "fold 08")
    inside = file_of(tmp_path / "d", record(), record() | OTHER)
    refused([inside], tmp_path / "c", str(inside), "fold 03")


def test_nothing_is_written_over(tmp_path: Path) -> None:
    a, b = (file_of(tmp_path / name, record(fold=name)) for name in "ab")
    refused([a, b], b, str(b), "already")
    (tmp_path / "folder").mkdir()
    refused([a, b], tmp_path / "folder", "already")
    refused([a, tmp_path / "none"], tmp_path / "c", "name a file that `repro run`")


def test_a_full_disk_leaves_no_half_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a = file_of(tmp_path / "a", record())
    full = Mock(side_effect=OSError(28, "No space left on device"))
    monkeypatch.setattr(audit.files.os, "fsync", full)
    refused([a], tmp_path / "c", str(tmp_path / "c"), "No space left")

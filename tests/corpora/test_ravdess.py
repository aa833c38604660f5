from itertools import product

from repro.corpora.check import check


def test_48_khz_and_stereo_are_no_problem_of_this_corpus(tmp_path, write_wav):
    write_wav(tmp_path / "03-01-05-02-01-02-12.wav", 1.5, 48_000, channels=2)
    report = check("ravdess", tmp_path)
    assert (report.problems, list(report.lengths)) == ((), [24_000])
    assert report.as_dict()["published_release"] is False


def test_the_whole_release_is_known(tmp_path, write_wav):
    first = write_wav(tmp_path / "03-01-01-01-01-01-01.wav", 0.1, 48_000)
    for actor in range(1, 25):
        folder = tmp_path / "release" / f"Actor_{actor:02d}"
        folder.mkdir(parents=True)
        strengths = ["01-01", *(f"{e}-{i}" for e in ("03", "04", "05") for i in ("01", "02"))]
        for strength, take in product(strengths, ("01-01", "01-02", "02-01", "02-02")):
            (folder / f"03-01-{strength}-{take}-{actor:02d}.wav").hardlink_to(first)
    facts = check("ravdess", tmp_path / "release").as_dict()
    assert facts["utterances"] == 672
    assert facts["published_release"] is True

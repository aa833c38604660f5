import csv
import hashlib
import re
import threading
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from unittest.mock import patch

import pytest
from tiny_corpus import zipped

from repro.corpora import CORPORA, emodb, load_corpus, nemo
from repro.corpora.fetch import digest, fetch
from repro.errors import ReproError

EMODB_DIGEST = emodb.CORPUS.archive.digest
NAMES = ("03a01Fa.wav", "03a01Wa.wav", "08a01Na.wav")
Serve = Callable[..., str]


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """A function that serves bytes on this machine and returns their address."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    servers = []

    def start(content: bytes, *, announced: int | None = None, status: int = 200) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(announced or len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_address[1]}/download.zip"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def fetch_from(url: str, name: str, directory: Path, **verified: str | None) -> Path:
    """Fetch a corpus from another address."""
    corpus = CORPORA[name]
    archive = corpus.archive._replace(url=url, **verified)
    with patch.dict(CORPORA, {name: replace(corpus, archive=archive)}):
        return fetch(name, directory)


@pytest.fixture
def recordings(emodb_root) -> dict[str, bytes]:
    return {name: (emodb_root / "wav" / name).read_bytes() for name in NAMES}


@pytest.fixture
def expected(recordings, tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("expected")
    for name, content in recordings.items():
        (folder / name).write_bytes(content)
    return digest(folder)


def pack(recordings: dict[str, bytes], *more: tuple[str | zipfile.ZipInfo, bytes]) -> bytes:
    """A zip file as the publishers pack theirs: recordings in `wav`, label files beside them."""
    members = {f"wav/{name}": content for name, content in recordings.items()}
    return zipped(members | {"lablaut/03a01Fa.lablaut": b"labels"} | dict(more))


def test_the_published_recordings_have_the_known_digest(emodb_root):
    assert digest(emodb_root / "wav") == EMODB_DIGEST


def test_an_archive_is_downloaded_verified_and_read(tmp_path, serve, recordings, expected, capfd):
    target = tmp_path / "new" / "emodb"
    assert fetch_from(serve(pack(recordings)), "emodb", target, digest=expected) == target
    assert {path.name: path.read_bytes() for path in (target / "wav").iterdir()} == recordings
    assert [path.name for path in target.parent.iterdir()] == ["emodb"]
    assert list(load_corpus("emodb", target)["utterance"]) == ["03a01Fa", "03a01Wa", "08a01Na"]
    assert "100%" in capfd.readouterr().err  # the progress bar


def test_every_recording_of_nemo_is_verified(tmp_path, serve, nemo_root):
    with (nemo_root / "manifest.csv").open(encoding="utf-8") as file:
        lines = sorted(f"{row['sha256']}  {row['file']}\n" for row in csv.DictReader(file))
    assert len(lines) == 4_481
    assert hashlib.sha256("".join(lines).encode()).hexdigest() == nemo.CORPUS.archive.digest

    paths = [nemo_root / "manifest.csv", *nemo_root.glob("samples/*.wav")]
    within = "nEMO-66de9999/"  # as GitHub packs a commit
    archive = zipped({f"{within}{p.relative_to(nemo_root)}": p.read_bytes() for p in paths})
    url, target = serve(archive), tmp_path / "nemo"
    with pytest.raises(ReproError, match="its 102 recordings are not the published ones"):
        fetch_from(url, "nemo", target)
    fetch_from(url, "nemo", target, digest=digest(nemo_root))
    assert [path.name for path in target.iterdir()] == ["samples"]
    assert len(load_corpus("nemo", target)) == 96


def test_an_archive_of_known_checksum_is_verified_as_a_whole(tmp_path, serve, write_wav):
    name = "Actor_12/03-01-05-02-01-02-12.wav"
    archive = zipped({name: write_wav(tmp_path / "one.wav", rate=48_000).read_bytes()})
    url, target = serve(archive), tmp_path / "ravdess"
    with pytest.raises(ReproError, match="expected md5:bc696df654c87fed845eb13823edef8a but got"):
        fetch_from(url, "ravdess", target)
    right = f"md5:{hashlib.md5(archive).hexdigest()}"
    fetch_from(url, "ravdess", target, checksum=right)
    assert load_corpus("ravdess", target)["path"].tolist() == [str(target / name)]


@pytest.mark.parametrize("corpus", [c for c in CORPORA.values() if c.archive], ids=lambda c: c.name)
def test_every_archive_can_be_verified(corpus):
    assert corpus.archive.digest or corpus.archive.checksum


@pytest.mark.parametrize("name", ["iemocap", "emo"])
def test_a_corpus_without_an_archive_is_not_fetched(tmp_path, name):
    with pytest.raises(ReproError, match=f"cannot fetch {name}: choose from emodb, ravdess, nemo"):
        fetch(name, tmp_path / "new")


def link(name: str) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(name)
    member.external_attr = 0o120777 << 16
    return member


def refusal(folder: Path, url: str, expected: str) -> str:
    """The message of a fetch that must fail and leave nothing."""
    folder.mkdir(exist_ok=True)
    with pytest.raises(ReproError) as caught:
        fetch_from(url, "emodb", folder / "emodb", digest=expected)
    assert list(folder.iterdir()) == []
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("member", "content"),
    [
        *((name, b"evil") for name in ("../climbs.wav", "/tmp/absolute.wav", "C:\\a.wav")),
        *((name, b"evil") for name in ("wav/../../03a01Fa.wav", "..\\back.wav")),
        (link("wav/16a01Fa.wav"), b"/etc/passwd"),
        ("wav/16a01Fa.wav", bytes(20_000_000)),
    ],
    ids=["climbs", "absolute", "drive", "climbs later", "backslash", "link", "swells"],
)
def test_an_unsafe_archive_is_refused(tmp_path, serve, recordings, expected, member, content):
    url = serve(pack(recordings, (member, content)))
    assert "unsafe member" in refusal(tmp_path / "in", url, expected)
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_other_recordings_are_refused(tmp_path, serve, recordings, expected):
    changed = dict(recordings)
    changed["03a01Fa.wav"] = changed["03a01Fa.wav"][:-2] + b"\x01\x01"
    assert "wrong checksum" in refusal(tmp_path, serve(pack(changed)), expected)
    fewer = {name: recordings[name] for name in NAMES[:2]}
    assert "wrong checksum" in refusal(tmp_path, serve(pack(fewer)), expected)
    assert "its 3 recordings" in refusal(tmp_path, serve(pack(recordings)), EMODB_DIGEST)
    wrapped = zipped({"inner.zip": pack(recordings)})
    assert "its 0 recordings" in refusal(tmp_path, serve(wrapped), expected)


def test_a_download_that_breaks_off_is_refused(tmp_path, serve, recordings, expected):
    archive = pack(recordings)
    url = serve(archive[: len(archive) // 2], announced=len(archive))
    assert "download failed" in refusal(tmp_path, url, expected)


def test_half_an_archive_and_no_archive_are_refused(tmp_path, serve, recordings, expected):
    archive = pack(recordings)
    assert "damaged" in refusal(tmp_path, serve(archive[: len(archive) // 2]), expected)
    assert "damaged" in refusal(tmp_path, serve(b"<html>moved</html>"), expected)
    flipped = bytearray(archive)
    flipped[2000] ^= 0xFF
    assert "damaged" in refusal(tmp_path, serve(bytes(flipped)), expected)
    encrypted = bytearray(archive)  # by its flags, whatever the data are
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        for found in re.finditer(mark, archive):
            encrypted[found.start() + offset] |= 1
    assert "encrypted" in refusal(tmp_path, serve(bytes(encrypted)), expected)


def test_an_archive_of_more_than_any_corpus_is_not_unpacked(tmp_path, serve, expected):
    many = [f"{n:02d}a{m:02d}Na.wav" for n in range(8) for m in range(14)]
    bomb = zipped(dict.fromkeys(many, bytes(9_900_000)))  # 1.1 MB that would be 1.1 GB
    assert "larger than any corpus" in refusal(tmp_path, serve(bomb), expected)


def test_a_server_that_refuses_or_is_away_is_told(tmp_path, serve, expected):
    assert "404" in refusal(tmp_path, serve(b"gone", status=404), expected)
    assert "download failed" in refusal(tmp_path, "http://127.0.0.1:9/download.zip", expected)
    assert "download failed" in refusal(tmp_path, "nonsense", expected)


def test_a_folder_in_use_is_left_alone(tmp_path, expected):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(ReproError, match="not empty"):
        fetch_from("http://127.0.0.1:9/download.zip", "emodb", tmp_path, digest=expected)
    assert (tmp_path / "mine.txt").read_text() == "mine"

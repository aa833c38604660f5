import json
import sys
from pathlib import Path

from conftest import Command, python

from repro.tools import doctor

BROKEN = """
import sys
for name in ("torch", "soundfile", "pandas"):
    sys.modules[name] = None
from repro.cli import main
sys.argv = ["repro", "doctor"]
main()
"""


def test_a_screen_of_text_and_json_with_every_fact(command: Command) -> None:
    outcome = command("doctor", "--json")
    assert outcome.status == 0
    found = json.loads("\n".join(outcome.out))
    assert list(found) == list(doctor.LOOKS)
    assert "unknown" not in str(found) and "MISSING" not in str(found)
    assert found["precision"] in ("fp32", "bf16")
    assert {"torch", "torchaudio", "soundfile", "typer"} <= set(found["packages"])
    assert "ruff" not in found["packages"]
    lines = doctor.text(found).splitlines()
    assert len(lines) == len(found)
    assert lines[0].startswith("repro ")


def test_what_is_missing_is_told_and_the_rest_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    env = {"PATH": "", "XDG_CACHE_HOME": str(tmp_path / "file")}
    done = python("-c", BROKEN, cwd=tmp_path, env=env)
    assert (done.returncode, done.stderr) == (0, "")
    lines = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    assert list(lines) == list(doctor.LOOKS)
    for name in ("GPU", "threads", "libsndfile"):
        assert lines[name].startswith("unknown: ModuleNotFoundError"), lines[name]
    assert lines["python"].endswith(sys.executable)

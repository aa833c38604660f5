"""The hosted checks: the README's commands, pinned actions, no secrets."""

import re
from pathlib import Path

import yaml

[FILE] = (Path(__file__).resolve().parent.parent / ".github" / "workflows").glob("*.yml")
TEXT = FILE.read_text(encoding="utf-8")
WORKFLOW = yaml.safe_load(TEXT)
JOBS = WORKFLOW["jobs"]


def commands(job: dict) -> list[str]:
    return [step["run"] for step in job["steps"] if "run" in step]


def test_what_the_readme_says_runs_on_old_and_new_python_and_both_kinds_of_processor() -> None:
    check = JOBS["check"]
    assert commands(check) == ["make report", "make test"]
    assert check["strategy"]["matrix"] == {
        "machine": ["ubuntu-latest", "ubuntu-24.04-arm"],
        "python": ["3.11", "3.13"],
    }
    assert check["runs-on"] == "${{ matrix.machine }}"
    versions = [step["with"].get("python-version") for step in check["steps"] if "with" in step]
    assert "${{ matrix.python }}" in versions
    # Nowhere is it a Python that the project does not take.
    assert set(re.findall(r'"(3\.\d+)"', TEXT)) <= {"3.11", "3.12", "3.13"}


def test_the_edition_is_published_from_main_once_all_checks_pass() -> None:
    assert commands(JOBS["edition"]) == ["make book"]
    # `make book` builds into this folder.
    uploads = [s for s in JOBS["edition"]["steps"] if "upload-pages" in s.get("uses", "")]
    assert [upload["with"]["path"] for upload in uploads] == ["book/_build/html"]
    assert JOBS["publish"]["needs"] == ["check", "edition"]
    assert "refs/heads/main" in JOBS["publish"]["if"]


def test_actions_are_pinned_by_their_commit() -> None:
    used = re.findall(r"uses: (.*)", TEXT)
    assert len(used) == 6
    for each in used:
        assert re.fullmatch(r"actions/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", each), each


def test_no_secret_and_no_more_rights_than_needed() -> None:
    assert "secrets" not in TEXT and "pull_request_target" not in TEXT
    assert WORKFLOW["permissions"] == {"contents": "read"}
    granted = {name: job["permissions"] for name, job in JOBS.items() if "permissions" in job}
    assert granted == {"publish": {"pages": "write", "id-token": "write"}}

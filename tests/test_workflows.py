"""The hosted checks: the README's commands, pinned actions, no secrets."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


@pytest.fixture(params=WORKFLOWS, ids=lambda path: path.name)
def workflow(request: pytest.FixtureRequest) -> tuple[str, dict]:
    text = request.param.read_text(encoding="utf-8")
    return text, yaml.safe_load(text)


def test_there_is_a_workflow() -> None:
    assert [path.name for path in WORKFLOWS] == ["check.yml"]


def commands(job: dict) -> list[str]:
    return [step["run"] for step in job["steps"] if "run" in step]


def test_what_the_readme_says_runs_on_old_and_new_python_and_both_kinds_of_processor(
    workflow: tuple[str, dict],
) -> None:
    check = workflow[1]["jobs"]["check"]
    assert commands(check) == ["make report", "make test"]
    assert check["strategy"]["matrix"] == {
        "machine": ["ubuntu-latest", "ubuntu-24.04-arm"],
        "python": ["3.11", "3.13"],
    }
    assert check["runs-on"] == "${{ matrix.machine }}"
    versions = [step["with"].get("python-version") for step in check["steps"] if "with" in step]
    assert "${{ matrix.python }}" in versions


def test_the_edition_is_published_from_main_once_all_checks_pass(
    workflow: tuple[str, dict],
) -> None:
    jobs = workflow[1]["jobs"]
    assert commands(jobs["edition"]) == ["make book"]
    # `make book` builds into this folder.
    uploads = [s for s in jobs["edition"]["steps"] if "upload-pages" in s.get("uses", "")]
    assert [upload["with"]["path"] for upload in uploads] == ["book/_build/html"]
    assert jobs["publish"]["needs"] == ["check", "edition"]
    assert "refs/heads/main" in jobs["publish"]["if"]


def test_actions_are_pinned_by_their_commit(workflow: tuple[str, dict]) -> None:
    used = re.findall(r"uses: (.*)", workflow[0])
    assert len(used) == 6
    for each in used:
        assert re.fullmatch(r"actions/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", each), each


def test_no_secret_and_no_more_rights_than_needed(workflow: tuple[str, dict]) -> None:
    text, content = workflow
    assert "secrets" not in text
    assert content["permissions"] == {"contents": "read"}
    granted = {
        name: job["permissions"] for name, job in content["jobs"].items() if "permissions" in job
    }
    assert granted == {"publish": {"pages": "write", "id-token": "write"}}
    assert "pull_request_target" not in text


def test_the_python_is_one_that_the_project_takes(workflow: tuple[str, dict]) -> None:
    versions = re.findall(r'"(3\.\d+)"', workflow[0])
    assert versions and set(versions) <= {"3.11", "3.12", "3.13"}

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


def test_it_runs_what_the_readme_says_and_publishes_the_book(workflow: tuple[str, dict]) -> None:
    jobs = workflow[1]["jobs"]
    steps = jobs["check"]["steps"]
    commands = [step["run"] for step in steps if "run" in step]
    assert commands[:2] == ["make report", "make test"]
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {command.removeprefix("make ") for command in commands} <= targets
    # `make book` builds into this folder.
    published = [s["with"]["path"] for s in steps if "pages" in s.get("uses", "")]
    assert published == ["book/_build/html"]
    assert commands.index("make book") == len(commands) - 1
    assert jobs["publish"]["needs"] == "check"
    assert "refs/heads/main" in jobs["publish"]["if"]


def test_actions_are_pinned_by_their_commit(workflow: tuple[str, dict]) -> None:
    used = re.findall(r"uses: (.*)", workflow[0])
    assert len(used) == 4
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
    versions = re.findall(r'python-version: "([\d.]+)"', workflow[0])
    assert versions and set(versions) <= {"3.11", "3.12", "3.13"}

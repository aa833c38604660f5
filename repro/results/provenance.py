"""What made a result: the version and commit of this package, torch, the device, the day."""

import hashlib
import subprocess
import time
from functools import cache
from pathlib import Path
from typing import Any

import torch

import repro
from repro.device import processor

PACKAGE = Path(repro.__file__).resolve().parent
SHOWING = ("report", "evidence", "tools", "cli.py", "__main__.py")  # what trains nothing
PLAN = PACKAGE.parent / "book" / "plan.md"


def made_by(device: torch.device, precision: str, seconds: float) -> dict[str, Any]:
    """Return what made a result: version, commit, torch, device, precision, threads, date, seconds.

    `plan` names the text of `book/plan.md`, which says beforehand what is tested on nEMO. The date
    is the day in UTC, as YYYY-MM-DD.
    """
    on_gpu = device.type == "cuda"
    return {
        "version": repro.__version__,
        "commit": commit(),
        "plan": _plan(),
        "torch": torch.__version__,
        "device": torch.cuda.get_device_name(device) if on_gpu else f"cpu: {processor()}",
        "precision": precision,
        "statistics": batch_statistics(device),
        "threads": torch.get_num_threads(),
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "seconds": round(seconds, 2),
    }


def batch_statistics(device: torch.device) -> str:
    """Return how batch normalisation and the gradient of Conv1 add up what the precision gives.

    `exact`, see `repro.layers`, or `cudnn` on a GPU, where batch normalisation is torch's, but for
    the network of Section 3.2. What an earlier version made on a processor, which did not say so,
    is `torch`.
    """
    return "cudnn" if device.type == "cuda" else "exact"


def lasting(device: torch.device, precision: str) -> dict[str, Any]:
    """Return what must stay the same for a training to go on where it stopped.

    That is `made_by`, with a checksum of the code that trains in place of commit and plan.
    """
    facts = made_by(device, precision, seconds=0.0) | {"code": _code()}
    free = ("commit", "plan", "date", "seconds")
    return {name: fact for name, fact in facts.items() if name not in free}


@cache
def _code() -> str:
    """Return a checksum of the modules that a training may depend on."""
    paths = sorted(path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py"))
    trains = [path for path in paths if path.parts[0] not in SHOWING or path.stem == "recogniser"]
    code = (path.as_posix().encode() + b"\n" + (PACKAGE / path).read_bytes() for path in trains)
    return hashlib.sha256(b"".join(code)).hexdigest()


@cache
def _plan() -> str | None:
    """Return 12 hex digits of the checksum of the plan; None outside of a checkout."""
    try:
        return hashlib.sha256(PLAN.read_bytes()).hexdigest()[:12]
    except OSError:
        return None


@cache
def commit() -> str | None:
    """Return the commit of the source tree, with a + if it has changes; None outside of git."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(PACKAGE), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    try:
        top, head = git("rev-parse", "--show-toplevel", "--short=12", "HEAD").splitlines()
        if Path(top) != PACKAGE.parent:
            return None  # installed into an environment that lies in somebody else's repository
        return head + ("+" if git("status", "--porcelain", ".") else "")
    except (OSError, ValueError, subprocess.CalledProcessError):
        return None

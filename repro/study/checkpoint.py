"""A fold half trained, kept on disk so that a killed run goes on and need not begin it anew.

A killed run loses the epoch it is in and at most `INTERVAL` (5 s) of shorter ones before it; a fold
that takes less writes nothing.

A checkpoint holds all that the coming epochs depend on: weights and batch-norm statistics, momenta,
the state of the generator that shuffles, the losses so far, and what whoever trains keeps. It is a
safetensors file, which cannot run code when read, with a checksum over everything in it: what is
damaged, or was begun by other code or on another device, is removed and the fold begins anew. Going
on from a checkpoint on a CPU gives the very numbers of a fold that never stopped.
"""

import hashlib
import json
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from repro import files
from repro.errors import warn
from repro.trainer import State

# Writing and syncing takes milliseconds, which epochs of less than that would feel.
INTERVAL = 5.0  # seconds


def path_of(results_file: str | Path, identity: Sequence[object]) -> Path:
    """Return where the checkpoint of a fold lies: in a folder beside the results file."""
    name = hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:16]
    return Path(f"{results_file}.partial") / f"{name}.safetensors"


def discard(path: Path) -> None:
    """Remove the checkpoint of a fold that is finished, and its folder with the last one."""
    with suppress(OSError):
        for file in [path, *path.parent.glob(f"{path.name}.*.tmp")]:
            file.unlink(missing_ok=True)
        path.parent.rmdir()


class Checkpoint:
    """The state of one fold between two epochs.

    Args:
        path: a file that need not exist, nor its folder; None to keep nothing.
        made_by: what must be the same for the fold to go on: which fold, code, device.
    """

    def __init__(self, path: Path | None, made_by: dict[str, Any]):
        self.path = path
        self.made_by = made_by
        self.history: list[float] = []  # mean loss of each epoch so far, in all runs
        self.earlier = 0.0  # seconds that the fold took before it was interrupted
        self.begun = self.saved = time.perf_counter()
        self.failed = False  # to write, which is said once

    @property
    def seconds(self) -> float:
        """What the fold has taken, in all runs."""
        return self.earlier + time.perf_counter() - self.begun

    def restore(self, state: State) -> None:
        """Put everything back as it was after the last epoch kept; nothing if there is none."""
        network, optimiser, order, history, _ = state
        self.history = history  # which goes on with the training
        if self.path is None:
            return
        try:
            tensors, kept = _read(self.path)
            if kept["made_by"] != self.made_by:
                raise ValueError("from other code, another device or fold")
            extra = {name: tensors.pop(name) for name in list(tensors) if name.startswith("extra.")}
            if not same_form(tensors, _tensors(state)):
                raise ValueError("of another network")
        except FileNotFoundError:
            return
        except (OSError, ValueError, TypeError, KeyError, SafetensorError) as fault:
            with suppress(OSError):
                self.path.unlink()
            reason = str(fault).splitlines()[0] if str(fault) else type(fault).__name__
            warn(f"{self.path}: not used ({reason}); the fold begins anew")
            return
        network.load_state_dict(_under("network.", tensors))
        parameters = dict(network.named_parameters())
        for name, momentum in _under("momentum.", tensors).items():
            # Laid out in memory as the parameter is: another layout may round otherwise.
            buffer = torch.empty_like(parameters[name], requires_grad=False).copy_(momentum)
            optimiser.state[parameters[name]]["momentum_buffer"] = buffer
        order.set_state(tensors["order"])
        state.kept.update(_under("extra.", extra))
        self.earlier = kept["seconds"]
        history[:] = kept["history"]

    def keep(self, state: State) -> None:
        """Write the checkpoint of an epoch's end, unless one was written in the last `INTERVAL`.

        A disk that does not take it costs the run nothing but the checkpoint.
        """
        if self.path is None or time.perf_counter() - self.saved < INTERVAL:
            return
        tensors = _tensors(state) | {f"extra.{name}": t for name, t in state.kept.items()}
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        kept = {"made_by": self.made_by, "history": state.history, "seconds": self.seconds}
        text = json.dumps(kept)
        metadata = {"state": text, "sha256": checksum(tensors, text)}
        try:
            files.write_whole(self.path, safetensors.torch.save(tensors, metadata))
        except OSError as error:
            if not self.failed:
                warn(f"{self.path}: no checkpoint ({error.strerror}); training goes on without")
            self.failed = True
        self.saved = time.perf_counter()


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read a checkpoint; ValueError, or what safetensors raises, if a bit of it is not as saved."""
    tensors, metadata = unpacked(path.read_bytes())
    if metadata.get("sha256") != checksum(tensors, metadata.get("state", "")):
        raise ValueError("damaged: its checksum does not fit")
    return tensors, json.loads(metadata["state"])


def unpacked(content: bytes) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors and the texts of a safetensors file.

    The library's own reader of texts takes a file by its name, which must be text itself.
    """
    tensors = safetensors.torch.load(content)
    header = content[8 : 8 + int.from_bytes(content[:8], "little")]
    return tensors, json.loads(header).get("__metadata__", {})


def checksum(tensors: dict[str, Tensor], text: str) -> str:
    """Return SHA-256 over tensors, with their names, and the text that is kept with them."""
    return hashlib.sha256(safetensors.torch.save(tensors) + text.encode()).hexdigest()


def _tensors(state: State) -> dict[str, Tensor]:
    """Return what a checkpoint keeps of a state, by name.

    Where there is no momentum, as before the first step, zeros stand for it.
    """
    network, optimiser, order, _, _ = state
    tensors = {f"network.{name}": tensor for name, tensor in network.state_dict().items()}
    if optimiser.defaults["momentum"]:
        for name, parameter in network.named_parameters():
            if parameter.requires_grad:
                found = optimiser.state[parameter].get("momentum_buffer")
                momentum = torch.zeros_like(parameter) if found is None else found
                tensors[f"momentum.{name}"] = momentum
    return tensors | {"order": order.get_state()}


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors whose names begin so, by the rest of their names."""
    return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}


def same_form(tensors: dict[str, Tensor], expected: dict[str, Tensor]) -> bool:
    """Return whether tensors have the names, shapes and types that are expected."""
    found, wanted = (
        {n: (t.shape, t.dtype) for n, t in each.items()} for each in (tensors, expected)
    )
    return found == wanted

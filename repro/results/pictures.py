"""Small pictures as text: a matrix in a results file, reduced and kept with 8 bits a point."""

import base64
from typing import Any

import numpy as np

ROWS, COLUMNS = 100, 50  # the largest that a results file holds
STEPS = 255
LARGEST = 1e300  # of a bound, so that what lies between two is finite as well


def pack(values: np.ndarray) -> dict[str, Any]:
    """Return a matrix of finite numbers as what JSON can hold.

    Returns:
        `shape`, `low` and `high` (the least and the greatest value), and `data`, which is the
        points, row by row, as base64 of one byte each, from 0 for the lowest to 255 for the
        highest.
    """
    low, high = (float(f"{bound:.6g}") for bound in (values.min(), values.max()))
    steps = (values - low) / (high - low) * STEPS if high > low else np.zeros(values.shape)
    points = steps.round().clip(0, STEPS).astype(np.uint8)
    data = base64.b64encode(points.tobytes()).decode()
    return {"shape": list(values.shape), "low": low, "high": high, "data": data}


def unpack(packed: dict[str, Any]) -> np.ndarray:
    """Return the matrix that `pack` packed.

    Raises:
        KeyError, TypeError, ValueError: it is not a packed matrix.
    """
    (rows, columns), low, high = packed["shape"], packed["low"], packed["high"]
    if not (type(rows) is type(columns) is int and 0 < rows <= ROWS and 0 < columns <= COLUMNS):
        raise ValueError("invalid shape")
    if not -LARGEST < low <= high < LARGEST:
        raise ValueError("invalid bounds")
    points = np.frombuffer(base64.b64decode(packed["data"], validate=True), np.uint8)
    return low + points.reshape(rows, columns) * ((high - low) / STEPS)

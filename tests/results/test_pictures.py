import base64
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from repro.results import pictures

FINITE = st.floats(-1e6, 1e6, width=32)


@given(arrays(np.float64, st.tuples(st.integers(1, 100), st.integers(1, 50)), elements=FINITE))
def test_a_picture_comes_back_within_half_a_step(values: np.ndarray) -> None:
    packed = pictures.pack(values)
    step = (packed["high"] - packed["low"]) / pictures.STEPS
    # The bounds keep six digits of a number.
    tolerance = step / 2 + 1e-5 * np.abs(values).max() + 1e-12
    assert np.abs(pictures.unpack(packed) - values).max() <= tolerance


def test_a_point_takes_a_byte() -> None:
    packed = pictures.pack(np.linspace(-1, 1, 100 * 50).reshape(100, 50))
    assert len(base64.b64decode(packed["data"])) == 100 * 50
    assert packed["shape"] == [100, 50]


SHAPES = ([2], [2, 3, 1], [0, 3], [True, 6], [101, 1], [3, 3])
BOUNDS = ({"low": "0"}, {"low": 6.0}, {"high": float("inf")}, {"high": float("nan")})
BOUNDS += ({"high": 10**400}, {"low": -1.7e308, "high": 1.7e308})
DATA = ("AAAA", "not base64!", "é", "A" * 10**6, None)


@pytest.mark.parametrize(
    "change", [*({"shape": each} for each in SHAPES), *BOUNDS, *({"data": each} for each in DATA)]
)
def test_what_is_no_picture_is_refused(change: dict[str, Any]) -> None:
    packed = pictures.pack(np.arange(6.0).reshape(2, 3))
    assert pictures.unpack(packed).shape == (2, 3)
    with pytest.raises((TypeError, ValueError)):
        pictures.unpack(packed | change)

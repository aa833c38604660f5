"""Tensor types that carry their shapes: `Float[Tensor, "n 1 400 200"]`.

jaxtyping lets the tests check every annotated shape at run time. A bare GPU box need not have it:
there the annotations are plain text and nothing is checked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jaxtyping import Float, Int
else:
    try:
        from jaxtyping import Float, Int
    except ImportError:

        class _Unchecked:
            def __class_getitem__(cls, item: Any) -> Any:
                return item[0]

        Float = Int = _Unchecked

__all__ = ["Float", "Int"]

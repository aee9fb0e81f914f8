"""Arrays by their addresses, for kernels that are called often.

An array that Python gives to a kernel costs about 0.1 µs at every call: it is looked at, wrapped, counted. A kernel that works on
twenty of them is given one int64 array of addresses and lengths instead, and makes the arrays itself, which costs nothing. Whoever
fills in the addresses keeps the arrays alive, and fills them in again when one is replaced: nothing here would notice.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from stratd.core.kernel import Intrinsic


def _build_pointer(name: str) -> Callable[[], Any]:
    """What gives an address as a pointer to numbers of a type of numba."""

    def build() -> Any:
        from numba import types
        from numba.extending import intrinsic

        pointer = types.CPointer(getattr(types, name))

        @intrinsic
        def pointer_at(context, address):  # type: ignore[no-untyped-def]
            def generate(target, builder, signature, arguments):  # type: ignore[no-untyped-def]
                return builder.inttoptr(arguments[0], target.get_value_type(pointer))

            return pointer(types.int64), generate

        return pointer_at

    return build


def _build_array() -> Any:
    import numba

    return numba.carray


i8_at = Intrinsic(_build_pointer("int64"))  # a pointer to the numbers at an address
i4_at = Intrinsic(_build_pointer("int32"))
u1_at = Intrinsic(_build_pointer("uint8"))
f4_at = Intrinsic(_build_pointer("float32"))
f8_at = Intrinsic(_build_pointer("float64"))
array_of = Intrinsic(_build_array)  # the array that a pointer and a shape (a tuple) make: C-contiguous, uncounted

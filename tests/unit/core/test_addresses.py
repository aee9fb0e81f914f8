import numpy as np

from stratd.core.addresses import array_of, f8_at, i4_at, i8_at, u1_at
from stratd.core.kernel import kernel


@kernel("f8(ro i8[:])")
def sum_of_corners(table):  # type: ignore[no-untyped-def]
    wholes = array_of(i8_at(table[0]), (2, table[4]))
    floats = array_of(f8_at(table[1]), (2, table[4]))
    narrow = array_of(i4_at(table[2]), (table[4],))
    small = array_of(u1_at(table[3]), (table[4],))
    wholes[1, 2] += 1
    return wholes[1, 2] + floats[1, 2] + narrow[2] + small[2]


def test_array_of_addresses_of_every_type_are_the_arrays_themselves() -> None:
    wholes, floats = np.arange(6).reshape(2, 3), np.arange(6.0).reshape(2, 3)
    narrow, small = np.arange(3, dtype=np.int32), np.arange(3, dtype=np.uint8)
    table = np.array([*(one.ctypes.data for one in (wholes, floats, narrow, small)), 3])

    assert sum_of_corners(table) == 6 + 5 + 2 + 2
    assert wholes[1, 2] == 6

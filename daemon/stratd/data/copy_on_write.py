"""Copy-on-write windows: a reader's own version of rows that everybody shares."""

from __future__ import annotations

import mmap
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stratd.data.session_data import Memory


class _PrivateMapping(mmap.mmap):
    """A private mapping of shared memory, which holds on to what it is a version of.

    As long as `source` lives, the memory is not used for other rows: pages that were not written still show it.
    """

    source: Any


def copy_on_write(rows: NDArray[Any], memory: Memory, first_address: int) -> NDArray[Any]:
    """A version of `rows` that can be written, seen by nobody else. Only pages (4 KiB) that are written are copied.

    Args:
        rows: a contiguous view of a mapping of `memory`; rows that are published, which do not change any more.
        first_address: where that mapping begins.
    """
    offset = rows.ctypes.data - first_address
    skip = offset % mmap.ALLOCATIONGRANULARITY
    size = skip + rows.nbytes
    if not rows.nbytes:
        return rows.copy()
    mapping = _PrivateMapping(
        memory.fd, size, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_WRITE, offset=offset - skip
    )
    mapping.source = rows
    return np.frombuffer(mapping, rows.dtype, len(rows), skip)

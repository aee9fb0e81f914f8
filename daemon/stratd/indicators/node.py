"""Node: a part that is being computed; and what is told of nodes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from stratd.indicators.base import StreamInfo
from stratd.indicators.graph import Part

Key: TypeAlias = tuple[int, tuple[int, ...], int]


@dataclass(slots=True, eq=False)
class Node:
    """A part that is being computed, and where.

    Attributes:
        key: of its part, the rows at which its streams begin for it, and the element type.
        origin: absolute row at which its own stream does: 0, or what could be seen when it was requested late.
        uses: how many handles and parts use it; it goes with the last.
        requests: how many requests it serves: each would have computed it for itself.
        lazy: it is computed when somebody reads it, and before its rows are given up.
        done: absolute row up to which a lazy node is computed.
        born: number of the store that was there when it was made; that one and later ones have its columns.
        linked: its uses of others are counted.
        computed, saved: values computed, and those that each further request would have computed, up to row `reckoned`.
        seconds: time spent in programs that it is in no more.
        error: what its computation raised, if it did.
    """

    key: Key
    part: Part
    inputs: tuple[tuple[Node, int] | tuple[StreamInfo, str], ...]
    origin: int
    kind: int
    parameters: NDArray[np.float64]
    state: NDArray[np.float64]
    uses: int = 0
    requests: int = 0
    linked: bool = False
    lazy: bool = False
    done: int = 0
    entry: int = -1
    pointer: int = -1
    born: int = 0
    reckoned: int = 0
    computed: int = 0
    saved: int = 0
    seconds: float = 0.0
    error: str = ""

    @property
    def stream(self) -> StreamInfo:
        """Where it is computed."""
        return self.part.stream

    @property
    def columns(self) -> int:
        """How many outputs it has."""
        return len(self.part.spec.outputs)


@dataclass(slots=True, eq=False)
class Use:
    """One handle's use of columns: what it reads, by output, and all that this is computed from."""

    outputs: dict[str, tuple[Node, int]]
    nodes: tuple[Node, ...]
    released: bool = False


def label_of(node: Node) -> tuple[str, str]:
    """What figures are kept by: the label of the indicator, and its interval."""
    return node.part.spec.label, str(node.stream.interval)


@dataclass(frozen=True, slots=True)
class IndicatorStats:
    """What the columns of one indicator on one interval have come to, all symbols together.

    Attributes:
        columns: columns that are held now.
        users: requests that they serve now.
        computed: values computed so far.
        saved: values that were not computed because they were shared: what each further request would have computed for itself.
        bytes: memory of the values that are held.
        seconds: time spent. Long blocks are timed, of short ones every 61st, which stands for the others.
    """

    label: str
    interval: str
    columns: int
    users: int
    computed: int
    saved: int
    bytes: int
    seconds: float


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """What figures are made of, at one moment."""

    nodes: list[Node]
    done: NDArray[np.int64]
    spent: dict[int, NDArray[np.float64]]
    gone: dict[tuple[str, str], tuple[int, int, float]]

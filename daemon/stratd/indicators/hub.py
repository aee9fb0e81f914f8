"""IndicatorHub: every indicator computed once, for all strategies."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from stratd.data.session_data import Frame, SessionData
from stratd.indicators.base import Indicator, StreamInfo
from stratd.indicators.engine import ColumnEngine, Node, Use, label_of, load_operations
from stratd.indicators.graph import Plan, Planner, StreamOf
from stratd.indicators.store import ColumnStore


@dataclass(frozen=True, slots=True)
class IndicatorStats:
    """What the columns of one indicator on one interval have come to, all symbols together.

    Attributes:
        columns: columns that are held now.
        users: handles and other indicators that use them now.
        computed: values computed so far.
        saved: values that were not computed because they were shared: what each further user would have computed for itself.
        bytes: memory of the values that are held.
        seconds: time spent. Long blocks are timed, of short ones every 64th, which stands for the others.
    """

    label: str
    interval: str
    columns: int
    users: int
    computed: int
    saved: int
    bytes: int
    seconds: float


class IndicatorHub:
    """Computes each distinct indicator of a session once per block, for all strategies.

    Parts with the same structure (operation, parameters, stream, what they are computed from) share their columns; parts
    that nobody uses any more go at once.

    A request in `setup` begins at the session's first row. A late one begins at the oldest row that the requester can still
    see, whatever others have requested before: so what a strategy is given does not depend on who else runs.

    Thread safety: `advance` and the move to a new frame are the writer's; `request`, `release`, `read_lazy` and `stats` may be
    called by any thread. One lock guards all of it: the writer takes it once for a block, others when an indicator comes, goes,
    or is read lazily, never when a value is read. Rows of columns are final once they are written, and readers see them only
    after the log's publication.
    """

    def __init__(self, data: SessionData, stream_of: StreamOf) -> None:
        """Args:
        stream_of: the session's stream of a symbol and an interval.
        """
        self._lock = threading.RLock()
        self._engine = ColumnEngine(len(data.intervals), len(data.symbols), shared=True)
        self._planner = Planner(stream_of)
        self._engine.follow(data.count.reshape(-1))
        data.on_move = self._move

    def request(self, plan: Plan, origin_of: Callable[[StreamInfo], int], *, lazy: bool = False, narrow: bool = False) -> Use:
        """Have an indicator computed, from now on and for the rows that are held.

        Args:
            origin_of: the absolute row of a stream at which it begins; 0 in `setup`.
            lazy: compute it when it is read.
            narrow: keep it as float32.
        """
        load_operations(plan)  # before the lock, which the writer waits for
        with self._lock:
            return Use(self._engine.acquire(plan, origin_of, lazy=lazy, narrow=narrow))

    def plan(self, indicator: Indicator, stream: StreamInfo) -> Plan:
        """Take an indicator apart.

        Raises:
            IndicatorError: see `Planner.plan`.
        """
        with self._lock:
            return self._planner.plan(indicator, stream)

    def release(self, use: Use) -> None:
        """One use less; a second release of the same does nothing. What it has shown stays readable as long as it is held."""
        with self._lock:
            if use.released:
                return
            use.released = True
            for node, _ in use.outputs.values():
                self._engine.release(node)

    def advance(self) -> None:
        """The writer has appended rows: compute what there is to compute for them."""
        with self._lock:
            self._engine.advance()

    def read_lazy(self, node: Node) -> None:
        """Compute a lazy column for all rows that are there."""
        with self._lock:
            self._engine.read_lazy(node)

    def where(self, node: Node, frame: Frame) -> tuple[ColumnStore | None, int]:
        """Where a reader of `frame` finds a node's columns, and at how much earlier a position each row is there.

        A reader whose frame is older than the column looks at the newest; so does every reader of a lazy one.
        """
        with self._lock:
            stream = node.stream
            store: ColumnStore | None = frame.annex
            if store is not None and not node.lazy and store.number >= node.born:
                return store, 0
            base = int(frame.base[stream.interval_index, stream.symbol_index])
            return self._engine.store, self._engine.base_of(stream) - base

    def stats(self) -> list[IndicatorStats]:
        """What each indicator has come to, on each interval."""
        with self._lock:
            engine = self._engine
            nodes: dict[tuple[str, str], list[Node]] = {key: [] for key in engine.gone}
            for node in engine.nodes.values():
                engine.reckon(node)
                nodes.setdefault(label_of(node), []).append(node)
            found = []
            for key, group in nodes.items():
                computed, saved, seconds = engine.gone.get(key, (0, 0, 0.0))
                found.append(
                    IndicatorStats(
                        *key,
                        columns=sum(node.columns for node in group),
                        users=sum(node.uses for node in group),
                        computed=int(computed) + sum(node.computed for node in group),
                        saved=int(saved) + sum(node.saved for node in group),
                        bytes=sum(engine.bytes_of(node) for node in group),
                        seconds=seconds + sum(engine.seconds_of(node) for node in group),
                    )
                )
            return found

    def errors(self) -> list[tuple[str, str]]:
        """What computations have raised: where, and what."""
        with self._lock:
            return self._engine.errors()

    def held_bytes(self) -> int:
        """Memory of all columns."""
        return self._engine.held_bytes()

    def close(self) -> None:
        """Keep no memory for later."""
        with self._lock:
            self._engine.close()

    def _move(self, frame: Frame) -> ColumnStore:
        with self._lock:
            return self._engine.move(frame)

"""IndicatorHub: every indicator computed once, for all strategies."""

from __future__ import annotations

import threading
from collections.abc import Callable

from stratd.data.session_data import Frame, SessionData
from stratd.errors import IndicatorError
from stratd.indicators.base import Indicator, StreamInfo
from stratd.indicators.engine import ColumnEngine, load_operations
from stratd.indicators.graph import Plan, Planner, StreamOf
from stratd.indicators.node import IndicatorStats, Node, Use
from stratd.indicators.store import ColumnStore


class IndicatorHub:
    """Computes each distinct indicator of a session once per block, for all strategies.

    Parts with the same structure (operation, parameters, stream, what they are computed from) share their columns; parts
    that nobody uses any more go at once.

    A request in `setup` begins at the session's first row. A late one begins at the oldest row that the requester can still
    see, whatever others have requested before: so what a strategy is given does not depend on who else runs.

    Thread safety: `advance` and the move to a new frame are the writer's; `request`, `release`, `read_lazy` and `stats` may be
    called by any thread. One lock guards all of it: the writer takes it once for a block, others when an indicator comes, goes,
    is read lazily or looked for in a new frame, and for a moment when figures are asked for; never when a value is read. Rows of columns are final once they are written, and readers see them only
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

        Raises:
            KernelError: an operation does not compile.
            IndicatorError: there is no memory for it.
        """
        load_operations(plan)  # before the lock, which the writer waits for
        try:
            with self._lock:
                return self._engine.acquire(plan, origin_of, lazy=lazy, narrow=narrow)
        except OSError as error:
            raise IndicatorError(
                f"there is no room for another column ({error.strerror or error}): ask for indicators in setup, "
                "or raise the limit of open files (ulimit -n)"
            ) from error

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
            self._engine.release(use)

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
            shot = self._engine.snapshot()
        return self._engine.stats(shot)

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
            self._planner.keep({node.part.key for node in self._engine.nodes.values()})
            return self._engine.move(frame)

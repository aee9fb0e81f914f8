"""Handles of one strategy: what it has asked for, where it is computed, and what it can see of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from stratd.data.series import BarSeries
from stratd.data.session_data import Frame
from stratd.errors import StrategySetupError
from stratd.indicators.base import Indicator, StreamInfo
from stratd.indicators.engine import ColumnEngine
from stratd.indicators.graph import Planner, StreamOf
from stratd.indicators.handle import Columns, HandleGroup, IndicatorHandle, LazyHandle, OwnColumns
from stratd.indicators.hub import IndicatorHub
from stratd.indicators.node import Use
from stratd.indicators.python_handle import PythonColumns, PythonHandle
from stratd.indicators.user import PythonIndicator

Handle: TypeAlias = IndicatorHandle | HandleGroup
DType: TypeAlias = Literal["float64", "float32"]
_FLOATS: Final = ("float64", "float32")


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked for. Asking for the same twice gives the same handle."""

    indicator: Indicator
    symbol: str
    interval: str
    name: str
    lazy: bool
    private: bool
    dtype: DType


@dataclass(slots=True, eq=False)
class _Held:
    request: Request
    handle: Handle
    parts: dict[str, IndicatorHandle]
    stream: StreamInfo
    use: Use | None = None
    inner: list[_Held] = field(default_factory=list)  # what a plain Python indicator takes in
    python: PythonColumns | None = None


class Handles:
    """Asks the hub, or an engine of the strategy's own, for columns, and keeps its handles on them.

    Thread safety: belongs to the strategy's thread, but `close`, which anybody may call: it lets go of the hub's columns.
    """

    def __init__(
        self,
        name: str,
        intervals: int,
        symbols: int,
        history: int,
        series_of: Callable[[StreamInfo], BarSeries],
        stream_of: StreamOf,
        shown_until: Callable[[BarSeries], int],
    ) -> None:
        """Args:
        name: of the strategy, for errors.
        history: rows that a strategy can look back.
        series_of: the strategy's series of a stream; raises NotSubscribed where it may not read it.
        stream_of: the session's stream of a symbol and an interval.
        shown_until: absolute row up to which the window that runs shows a series.
        """
        self._name = name
        self._intervals = intervals
        self._symbols = symbols
        self._history = history
        self._series_of = series_of
        self._shown_until = shown_until
        self._planner = Planner(stream_of)
        self._held: dict[Request, _Held] = {}
        self._python: list[PythonColumns] = []
        self._hub: IndicatorHub | None = None
        self._attached = False
        self._closed = False
        self.computes = False  # whether anything is computed here
        self._frame: Frame | None = None
        self._own: ColumnEngine | None = None
        self._own_series: dict[int, BarSeries] = {}  # by stream
        self._own_count: NDArray[np.int64] = np.zeros(intervals * symbols, np.int64)

    def ask(self, request: Request, stream: StreamInfo) -> Handle:
        """A handle for a request.

        Raises:
            NotSubscribed: it needs a stream that this strategy does not see.
            IndicatorError: it is put together wrongly.
            StrategySetupError: it looks back further than `history_bars`, or two different ones are to have one name.
        """
        held = self._held.get(request)
        if held is not None:
            return held.handle
        indicator = request.indicator
        if not isinstance(indicator, Indicator):
            raise StrategySetupError(
                self._name, f"{indicator!r} is no indicator; write SMA(20), or a class of your own (docs/indicators.md)"
            )
        if request.dtype not in _FLOATS:
            raise StrategySetupError(self._name, f"dtype is float64 or float32, not {request.dtype!r}")
        if self._closed:
            raise StrategySetupError(self._name, "the strategy has been given up; it gets no more indicators")
        self._check_streams(indicator, stream)
        if indicator.reach > self._history:
            raise StrategySetupError(
                self._name,
                f"{indicator.label} looks back {indicator.reach} bars, the session holds {self._history}: raise history_bars",
            )
        held = self._make(request, stream)
        self._check_names(held)
        if self._attached:
            try:
                self._connect(held)
            except BaseException:
                self._let_go(held)
                raise
        self._held[request] = held
        if held.python is not None:
            self._python.append(held.python)
            self.computes = True
        return held.handle

    def _check_names(self, held: _Held) -> None:
        """Names are the author's to choose, each once on a stream."""
        request = held.request
        if request.name:
            taken = {part.name for part in self.named(request.symbol) if part.interval == request.interval}
            for part in held.parts.values():
                if part.name in taken:
                    raise StrategySetupError(
                        self._name, f"there is another indicator named {part.name!r} on {request.symbol} {request.interval}"
                    )

    def _check_streams(self, indicator: Indicator, stream: StreamInfo) -> None:
        """Take an indicator apart, and see that the strategy sees all streams that it needs."""
        if isinstance(indicator, PythonIndicator):
            indicator.check_inputs()
            for source in indicator.inputs:
                if isinstance(source, Indicator):
                    self._check_streams(source, stream)
            return
        for part in self._planner.plan(indicator, stream).parts:
            part.spec.prepare()
            self._series_of(part.stream)
            if part.other is not None:
                self._series_of(part.other)

    def _make_python(self, request: Request, indicator: PythonIndicator, stream: StreamInfo) -> _Held:
        """A handle whose rows are computed here. What it takes in comes from the hub like anything else."""
        if request.dtype != "float64":
            raise StrategySetupError(self._name, f"{indicator.label} is plain Python, which computes in float64")
        series = self._series_of(stream)
        inner = [
            self._make(replace(request, indicator=source, name="", lazy=False), stream)
            for source in indicator.inputs
            if isinstance(source, Indicator)
        ]
        taken = iter(inner)
        inputs = [source if isinstance(source, str) else next(iter(next(taken).parts.values())) for source in indicator.inputs]
        columns = PythonColumns(indicator, series, inputs, self._history)
        name = request.name or indicator.label
        parts: dict[str, IndicatorHandle] = {
            output: PythonHandle(
                indicator, series, self._history, name if len(indicator.outputs) == 1 else f"{name}.{output}", output, columns
            )
            for output in indicator.outputs
        }
        handle: Handle = next(iter(parts.values())) if len(parts) == 1 else HandleGroup(indicator, name, parts)
        return _Held(request, handle, parts, stream, inner=inner, python=columns)

    def _make(self, request: Request, stream: StreamInfo) -> _Held:
        indicator, series = request.indicator, self._series_of(stream)
        if isinstance(indicator, PythonIndicator):
            return self._make_python(request, indicator, stream)
        kind = LazyHandle if request.lazy else IndicatorHandle
        name = request.name or indicator.label
        if len(indicator.outputs) == 1:
            only = kind(indicator, series, self._history, name)
            return _Held(request, only, {indicator.outputs[0]: only}, stream)
        parts: dict[str, IndicatorHandle] = {
            output: kind(indicator, series, self._history, f"{name}.{output}", output) for output in indicator.outputs
        }
        return _Held(request, HandleGroup(indicator, name, parts), parts, stream)

    def attach(self, hub: IndicatorHub | None) -> None:
        """From now on requests are computed: by the hub, or all by an engine of the strategy's own where there is none."""
        self._hub, self._attached = hub, True
        for held in self._held.values():
            self._connect(held)

    def _connect(self, held: _Held) -> None:
        request, hub = held.request, self._hub
        for one in held.inner:
            self._connect(one)
        if held.python is not None:
            held.python.begin(self._origin(held.stream))
            return
        options: dict[str, bool] = {"lazy": request.lazy, "narrow": request.dtype == "float32"}
        columns: Columns
        if hub is None or request.private:
            columns = own = OwnColumns(self._own_engine())
            plan = self._planner.plan(request.indicator, held.stream)
            for part in plan.parts:
                for stream in (part.stream, *((part.other,) if part.other is not None else ())):
                    self._follow(stream)
            use = own.request(plan, self._origin, **options)
        else:
            columns = hub
            use = hub.request(hub.plan(request.indicator, held.stream), self._origin, **options)
        held.use = use
        if self._closed:
            # It was given up while this was being made ready.
            columns.release(use)
            raise StrategySetupError(self._name, "the strategy has been given up; it gets no more indicators")
        for output, handle in held.parts.items():
            node, at = use.outputs[output]
            handle.connect(columns, node, at)
            if self._frame is not None:
                handle.bind(self._frame)

    def _follow(self, stream: StreamInfo) -> None:
        """Keep count of a stream's rows for the engine of the strategy's own."""
        at = stream.interval_index * self._symbols + stream.symbol_index
        if at not in self._own_series:
            self._own_series[at] = series = self._series_of(stream)
            self._own_count[at] = self._own_engine().done[at] = self._shown_until(series)

    def _own_engine(self) -> ColumnEngine:
        if self._own is None:
            self.computes = True
            self._own = ColumnEngine(self._intervals, self._symbols, shared=False)
            self._own.follow(self._own_count)
            if self._frame is not None:
                self._own.move(self._frame)
        return self._own

    def _origin(self, stream: StreamInfo) -> int:
        """The first row that this strategy can see of a stream."""
        return self._series_of(stream).first_held

    def advance(self, frame: Frame) -> None:
        """Before a window runs: see to it that everything is in `frame`."""
        self._frame = frame
        if self._own is not None:
            self._own.move(frame)
        for held in self._held.values():
            for one in (held, *held.inner):
                for handle in one.parts.values():
                    handle.bind(frame)

    def catch_up(self) -> None:
        """Before a window is taken: compute what has not been read, while its rows can still be reached."""
        for columns in self._python:
            columns.catch_up()

    def compute_own(self) -> None:
        """Before a window runs: compute what is not the hub's, for the rows that it shows."""
        own = self._own
        if own is not None:
            for at, series in self._own_series.items():
                self._own_count[at] = self._shown_until(series)
            own.advance()

    def release(self, handle: Handle) -> None:
        """Let go of a handle: it shows nothing any more, and what nobody else uses is computed no more.

        Raises:
            StrategySetupError: it is not one of this strategy's handles, or has been released before.
        """
        for request, held in self._held.items():
            if held.handle is handle:
                del self._held[request]
                self._let_go(held)
                if held.python is not None:
                    self._python.remove(held.python)
                for part in held.parts.values():
                    part.disconnect()
                return
        raise StrategySetupError(self._name, f"{handle.name} is no handle of this strategy, or has been released already")

    def close(self) -> None:
        """Let go of all of the hub's columns: the strategy ends. Its handles go on to show what they have."""
        self._closed = True
        for held in tuple(self._held.values()):
            self._let_go(held)

    def _let_go(self, held: _Held) -> None:
        for one in held.inner:
            self._let_go(one)
        if held.use is not None and self._hub is not None and not held.request.private:
            self._hub.release(held.use)
        elif held.use is not None and self._own is not None and not self._closed:
            OwnColumns(self._own).release(held.use)

    def named(self, symbol: str | None = None) -> list[IndicatorHandle]:
        """Handles that the author has named, outputs one by one; of one symbol, or of all. Callable by any thread."""
        return [
            part
            for request, held in tuple(self._held.items())
            if request.name and symbol in (None, request.symbol)
            for part in held.parts.values()
        ]

    def requests(self) -> list[Request]:
        """What has been asked for, in order."""
        return list(self._held)

    def errors(self) -> list[tuple[str, str]]:
        """What has been raised by computations of this strategy's own: where, and what. Callable by any thread."""
        own = [] if self._own is None else self._own.errors()
        return own + [
            (f"{held.handle.name} on {request.symbol} {request.interval}", f"{held.python.run.errors} times")
            for request, held in tuple(self._held.items())
            if held.python is not None and held.python.run.errors
        ]

    def snapshot(self) -> dict[tuple[str, str, str], float]:
        """The newest value of every handle, by name (or label), symbol and interval."""
        return {
            (part.name, part.symbol, part.interval): part.noted for held in self._held.values() for part in held.parts.values()
        }

"""Indicator: what to compute on the rows of a stream. A specification holds no data; the hub computes it."""

from __future__ import annotations

import dataclasses
import functools
import math
import operator
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from stratd.core.kernel import Operation
from stratd.core.names import nearest
from stratd.data.calendars import CalendarTable
from stratd.errors import IndicatorError
from stratd.model import Interval

if TYPE_CHECKING:
    from stratd.indicators.computation import Bars

FIELDS: Final = ("open", "high", "low", "close", "volume")
TIMES: Final = ("open_time", "close_time")  # int64 bits; only for operations that know about it
Self = TypeVar("Self", bound="Indicator")


@dataclass(frozen=True, slots=True, eq=False)
class StreamInfo:
    """The stream that an indicator is computed on, as far as that matters to it.

    Attributes:
        interval_index, symbol_index: as in SessionData.
        tick: smallest price step of the instrument; None where not known.
        calendar: of the instrument.
    """

    symbol: str
    interval: Interval
    interval_index: int
    symbol_index: int
    tick: float | None
    calendar: CalendarTable


class Indicator(ABC):
    """A specification: which indicator, with which parameters, of which source.

    Concrete indicators are frozen slots dataclasses: equal specifications are equal and hash alike, so that one
    computation serves everybody who asks for the same. `source` is the name of a field, or another indicator.

    Thread safety: immutable.

    Attributes:
        outputs: names of what is computed; the first is what `value` means, and what another indicator takes.
        source_fields: which attributes are sources; `of` replaces them in this order.
    """

    __slots__ = ()

    outputs: ClassVar[tuple[str, ...]] = ("value",)
    source_fields: ClassVar[tuple[str, ...]] = ()

    @property
    def name(self) -> str:
        """Short name of the kind: `SMA`."""
        return type(self).__name__

    @property
    def label(self) -> str:
        """Short name for people: `SMA(10)`, `SMA(10, high)`. Numbers are shown, anything else where it is not as usual."""
        shown: list[str] = []
        in_order = True
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            if value == field.default and (not isinstance(value, int | float) or isinstance(value, bool) or value == 0):
                in_order = False
            else:
                plain = field.name in self.source_fields or (in_order and not isinstance(value, bool))
                shown.append(_text(value) if plain else f"{field.name}={_text(value)}")
        return f"{self.name}({', '.join(shown)})" if shown else self.name

    @property
    @abstractmethod
    def warmup(self) -> int:
        """Rows until the first value: the value of row `warmup - 1` (from 0) is the first that is not NaN.

        Of what depends on the calendar as well (sessions), the least number of rows.
        """

    @property
    @abstractmethod
    def reach(self) -> int:
        """How many rows before a row its value needs to be held still, inputs included. 0: only the row itself."""

    def of(self: Self, *sources: Indicator | str) -> Self:
        """The same indicator of other sources: `EMA(12).of(TypicalPrice())`, `Correlation(20).of("close", On("close", "SPY"))`.

        Raises:
            IndicatorError: it has another number of sources, or computes from whole bars.
        """
        if not self.source_fields:
            raise IndicatorError(f"{self.name} is computed from whole bars; it cannot be of something else")
        if len(sources) != len(self.source_fields):
            raise IndicatorError(f"{self.name} has {len(self.source_fields)} sources, {len(sources)} were given")
        return dataclasses.replace(self, **dict(zip(self.source_fields, sources, strict=True)))  # type: ignore[type-var]

    def output(self, name: str) -> Indicator:
        """One of several outputs, as a source for another indicator: `EMA(5).of(MACD().output("histogram"))`.

        Raises:
            IndicatorError: there is no such output.
        """
        return Output(self, name)

    def compute(self, bars: Bars | Mapping[str, Any], **options: Any) -> dict[str, NDArray[np.float64]]:
        """All values on arrays that are there already, by output. See `computation.compute` for the arguments."""
        from stratd.indicators.computation import compute

        return compute(self, bars, **options)

    def __str__(self) -> str:
        return self.label


Source: TypeAlias = str | Indicator


class Primitive(Indicator):
    """An indicator with a compiled operation of its own.

    The operation is given every row of a stream once, in order, in blocks of any size, after its inputs' columns. What it
    carries from row to row is in its state, which begins as zeros, and in the rows before the block as far as `reach_back`
    says. So any division into blocks gives the same bits. Rows may be renumbered between calls: a state counts rows,
    and never holds an index.

    Attributes:
        operation: what computes it.
    """

    __slots__ = ()

    operation: ClassVar[Operation]

    @property
    def sources(self) -> tuple[Source, ...]:
        """What it is computed from: the inputs of the operation, in order."""
        return tuple(getattr(self, name) for name in self.source_fields)

    def inputs_on(self, stream: StreamInfo) -> tuple[Source, ...]:
        """The same, where it depends on the stream. Only what does not change values, or their warm-up, may differ."""
        return self.sources

    @abstractmethod
    def parameters(self, stream: StreamInfo) -> Sequence[float] | NDArray[np.float64]:
        """What the operation finds in `parameters`."""

    @property
    @abstractmethod
    def state_size(self) -> int:
        """Cells of state."""

    @property
    def delay(self) -> int:
        """How many rows after its inputs' first values its own first value comes. 0: at the same row."""
        return 0

    @property
    def reach_back(self) -> int:
        """How many rows before a block the operation reads."""
        return 0

    def prepare(self) -> None:
        """Make ready, in `setup`, what may turn out to be impossible. Of ours everything is possible.

        Raises:
            KernelError: the code of a user does not compile.
        """

    def failure(self, state: NDArray[np.float64]) -> str:
        """What has gone wrong in a computation for good; empty where nothing has. Code of ours does not fail."""
        return ""

    @property
    def warmup(self) -> int:
        return self.delay + max((warmup_of(source) for source in self.sources), default=1)

    @property
    def reach(self) -> int:
        return max(self.reach_back, max((reach_of(source) for source in self.sources), default=0))


class Composite(Indicator):
    """An indicator made of others, which it shares with everybody who uses them."""

    __slots__ = ()

    @abstractmethod
    def parts(self) -> Mapping[str, Indicator]:
        """What computes each output, by its name."""

    @property
    def warmup(self) -> int:
        return max(part.warmup for part in _parts(self).values())

    @property
    def reach(self) -> int:
        return max(part.reach for part in _parts(self).values())


@dataclass(frozen=True, slots=True)
class Output(Indicator):
    """One output of an indicator that has several."""

    indicator: Indicator
    which: str

    def __post_init__(self) -> None:
        if self.which not in self.indicator.outputs:
            near = nearest(self.which, self.indicator.outputs)
            hint = f"; did you mean {near!r}?" if near else ""
            raise IndicatorError(
                f"{self.indicator.name} gives {', '.join(self.indicator.outputs)}, there is no output {self.which!r}{hint}"
            )

    @property
    def label(self) -> str:
        return f"{self.indicator.label}.{self.which}"

    @property
    def warmup(self) -> int:
        if isinstance(self.indicator, Composite):
            return _parts(self.indicator)[self.which].warmup
        return self.indicator.warmup

    @property
    def reach(self) -> int:
        return self.indicator.reach


@dataclass(frozen=True, slots=True)
class On(Indicator):
    """A field or an indicator of another stream, as it stood at each row of this one: `Beta(60).of(Return(), On(Return(), "SPY"))`.

    What is taken is the newest row of the other stream that a strategy may see at the row's event (docs/adr/0001): of the same
    close time if the other interval is shorter, or the same and its symbol stands earlier in the session's list of
    symbols; else of an earlier close time. So put an index that others are compared with first.

    Attributes:
        source: field or indicator.
        symbol: of the other stream; empty for the same symbol.
        interval: of the other stream; empty for the same interval.
    """

    source: Source
    symbol: str = ""
    interval: str = ""

    def __post_init__(self) -> None:
        check_source(self.source)

    @property
    def label(self) -> str:
        return f"{_text(self.source)}@{' '.join(part for part in (self.symbol, str(self.interval)) if part)}"

    @property
    def warmup(self) -> int:
        return 1

    @property
    def reach(self) -> int:
        return reach_of(self.source)


@functools.lru_cache(4096)
def _parts(composite: Composite) -> Mapping[str, Indicator]:
    return composite.parts()


def warmup_of(source: Source) -> int:
    """Rows until a source's first value."""
    return (
        1 if isinstance(source, str) else Output(source, source.outputs[0]).warmup if len(source.outputs) > 1 else source.warmup
    )


def reach_of(source: Source) -> int:
    """How far back a source's values need rows."""
    return 0 if isinstance(source, str) else source.reach


def check_whole(what: str, number: object, at_least: int) -> int:
    """`number` as an int.

    Raises:
        ValueError: it is not a whole number, or is below `at_least`.
    """
    if not isinstance(number, bool):
        try:
            whole = operator.index(number)  # type: ignore[arg-type]
        except TypeError:
            pass
        else:
            if whole >= at_least:
                return whole
    raise ValueError(f"{what} is a whole number of bars, {at_least} or more, not {number!r}")


def check_period(period: object, at_least: int = 1) -> int:
    """`period` as an int. Errors as for `check_whole`."""
    return check_whole("period", period, at_least)


def check_number(what: str, number: object, *, above: float | None = None, at_least: float | None = None) -> float:
    """`number` as a float.

    Raises:
        ValueError: it is not a finite number, or not within its bound.
    """
    bound = f" above {above:g}" if above is not None else f" of {at_least:g} or more" if at_least is not None else ""
    if isinstance(number, int | float | np.floating | np.integer) and not isinstance(number, bool):
        value = float(number)
        if math.isfinite(value) and (above is None or value > above) and (at_least is None or value >= at_least):
            return value
    raise ValueError(f"{what} is a number{bound}, not {number!r}")


def check_source(source: object) -> None:
    """Check a source.

    Raises:
        ValueError: it is neither an indicator nor the name of one of `FIELDS`.
    """
    if isinstance(source, Indicator) or source in FIELDS:
        return
    near = nearest(source, FIELDS) if isinstance(source, str) else None
    hint = f"; did you mean {near!r}?" if near else ""
    raise ValueError(f"source is an indicator, or one of {', '.join(FIELDS)}, not {source!r}{hint}")


def set_checked(spec: Indicator, **values: object) -> None:
    """Set attributes of a frozen specification, in `__post_init__`, and check its sources."""
    for name, value in values.items():
        object.__setattr__(spec, name, value)
    for name in spec.source_fields:
        check_source(getattr(spec, name))


def _text(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)

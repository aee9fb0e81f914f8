"""TA: every function of TA-Lib as an indicator."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

import numpy as np
from numpy.typing import NDArray

from stratd.core.names import nearest
from stratd.errors import IndicatorError, MissingExtra
from stratd.indicators.base import FIELDS, Indicator, Source, StreamInfo, check_number, check_source, check_whole
from stratd.indicators.python_part import PythonPart

ROWS: Final = 128  # rows that one call begins for together, aligned to a multiple of it
_LEAST: Final = 400  # rows that a recursive function is given to forget where it began, at least
# Functions whose values depend on their window alone: as many rows before a row as TA-Lib's lookback says. All others are taken
# to be recursive, so that one that is new in TA-Lib costs more time, and is right. Patterns begin with CDL.
_WINDOWED: Final = frozenset(
    """
    AC ACCBANDS ACOS ADD ADR AO AROON AROONOSC ASIN ATAN AVGDEV AVGPRICE BBANDS BETA BOP CCI CEIL CMF CMOU COPPOCK CORREL COS
    COSH DIV DONCHIAN DPO ER EXP FLOOR FOSC FRACTAL HMA IMI LINEARREG LINEARREG_ANGLE LINEARREG_INTERCEPT LINEARREG_SLOPE LN
    LOG10 MA MACDEXT MARKETFI MAVP MAX MEDPRICE MFI MIDPOINT MIDPRICE MIN MINMAX MOM MULT
    PERCENTILE PERCENTRANK QSTICK ROC ROCP ROCR ROCR100 RVOL SIN SINH SMA SQRT STDDEV STOCH STOCHF SUB SUM TAN TANH TRANGE TRIMA
    TSF TYPPRICE ULTOSC VAR VHF VORTEX VWMA WCLPRICE WILLR WMA
    """.split()  # noqa: SIM905
)
_WINDOWED_AVERAGES: Final = (0, 2, 5, 9, 10)  # values of a matype that have no memory: SMA, WMA, TRIMA, HMA, none
_KAUFMAN: Final = 6  # matype
# How many times its longest period a recursive function needs to forget to some 1e-11. Wilder's averages fade by 1 / period a
# row, exponential ones by twice as much, Kaufman's by as little as 1 / 240.
_FADE: Final = 28
_FADES: Final = {"DEMA": 16, "EMA": 16, "KAMA": 60, "T3": 16, "TEMA": 16, "TRIX": 16, "ZLEMA": 16}
# Functions that never forget. What they have come to is carried.
_CARRIED: Final = ("AD", "CUMSUM", "NVI", "OBV", "PVI", "PVT", "VWAP", "WAD")
_INDEXES: Final = ("MAXINDEX", "MININDEX", "MINMAXINDEX")
_PERIODS: Final = "periods"  # an input that no field is
# State of those that are carried.
_HAS: Final = 0
_VALUE: Final = 1  # at the last row with a value
_VOLUME: Final = 2  # sum of volumes (VWAP)
_LAST: Final = 3  # inputs of that row
_STATE: Final = _LAST + len(FIELDS)


@dataclass(frozen=True)
class _Function:
    """What TA-Lib says about a function."""

    call: Callable[..., Any]
    inputs: tuple[str, ...]
    replaceable: tuple[int, ...]  # which inputs are single prices
    defaults: Mapping[str, int | float]
    outputs: tuple[str, ...]


@dataclass(frozen=True)
class _Window:
    """What a function's rows depend on.

    Attributes:
        lookback: rows before its first value.
        memory: rows before a group that are computed with it.
        only: nothing before `lookback` matters.
    """

    lookback: int
    memory: int
    only: bool


@dataclass(frozen=True, slots=True, init=False, repr=False)
class TA(PythonPart):
    """A function of TA-Lib, with its names of parameters and outputs: `TA("ADXR", timeperiod=14)`, `TA("BBANDS", timeperiod=20).of("high")`.

    Outputs have TA-Lib's names in lower case (`macdsignal`); a lone `real` or `integer` is `value`. Integers become floats.
    It needs the package TA-Lib: `pip install 'stratd[talib]'`.

    TA-Lib's functions keep nothing from call to call, so each row is computed from a window that depends on its number
    alone: rows are taken in groups of 128, counted from the first row of the indicator, and a group's window begins

    - with functions of a window (averages, patterns): as many rows before the group as TA-Lib's lookback says;
    - with recursive functions: so many more that where they began has faded to about 1e-10 of their value (28 times the
      longest period, 400 rows or more; see `reach`). Until there are so many rows they are computed from the first one;
    - with functions that add up all rows (AD, CUMSUM, NVI, OBV, PVI, PVT, VWAP, WAD): what they have come to is carried.

    So values are TA-Lib's own calls on the whole array, to its rounding, and their bits do not depend on blocks. Positions
    (MAXINDEX) count from the first row that the indicator was computed on.

    Warm-up: TA-Lib's lookback + 1 rows. NaN and infinity in an input: the row has no value and TA-Lib does not see it; functions
    of a window have none until it has left the window, all others go on as if it had not been. Where TA-Lib gives infinity
    the value is NaN. Zero range and zero volume: TA-Lib's value. Its settings for the whole process (`set_unstable_period`,
    `set_compatibility`) must not be altered while there are indicators.

    Attributes:
        function: TA-Lib's name.
        arguments: all parameters by name, sorted.
        sources: fields or indicators, in the order of TA-Lib's inputs.
    """

    source_fields = ("sources",)

    function: str
    arguments: tuple[tuple[str, int | float], ...]
    sources: tuple[Source, ...]

    def __init__(self, function: str, /, **parameters: float) -> None:
        """Args:
            function: its name, in capitals.
            parameters: TA-Lib's; those left out are as TA-Lib has them.

        Raises:
            MissingExtra: TA-Lib is not installed.
            IndicatorError: there is no such function or parameter.
            ValueError: a parameter has a value that TA-Lib refuses.
        """
        known = _function(function)
        for name in parameters:
            if name not in known.defaults:
                has = f"has {', '.join(known.defaults)}" if known.defaults else "has no parameters"
                raise IndicatorError(f"TA-Lib's {function} {has}, not {name!r}{_hint(name, known.defaults)}")
        chosen = {name: _checked(name, parameters.get(name, usual), usual) for name, usual in known.defaults.items()}
        object.__setattr__(self, "function", function)
        object.__setattr__(self, "arguments", tuple(sorted(chosen.items())))
        object.__setattr__(self, "sources", known.inputs)
        _window(function, self.arguments)

    def of(self, *sources: Indicator | str) -> TA:
        """The same function of other prices: as many as TA-Lib calls `price`, `price0`, `price1` or `periods`.

        Raises:
            IndicatorError: it has another number of those, or computes from whole bars.
        """
        places = _function(self.function).replaceable
        if not places:
            raise IndicatorError(f"TA-Lib's {self.function} is computed from whole bars; it cannot be of something else")
        if len(sources) != len(places):
            raise IndicatorError(f"TA-Lib's {self.function} has {len(places)} sources, {len(sources)} were given")
        made = TA(self.function, **dict(self.arguments))
        replaced = list(self.sources)
        for place, source in zip(places, sources, strict=True):
            check_source(source)
            replaced[place] = source
        object.__setattr__(made, "sources", tuple(replaced))
        return made

    @property
    def outputs(self) -> tuple[str, ...]:  # type: ignore[override]
        return _function(self.function).outputs

    @property
    def label(self) -> str:
        known = _function(self.function)
        shown = [self.function, *(f"{name}={value:g}" for name, value in self.arguments)]
        shown += [str(self.sources[place]) for place in known.replaceable if self.sources[place] != known.inputs[place]]
        return f"TA({', '.join(shown)})"

    def __repr__(self) -> str:
        return self.label

    def inputs_on(self, stream: StreamInfo) -> tuple[Source, ...]:
        if _PERIODS in self.sources:
            raise IndicatorError(
                f"TA-Lib's {self.function} takes a period for every row, which no field holds: give it both of its sources, "
                f"TA({self.function!r}).of('close', periods)"
            )
        return self.sources

    @property
    def state_size(self) -> int:
        return _STATE if self.function in _CARRIED else 0

    @property
    def delay(self) -> int:
        return _window(self.function, self.arguments).lookback

    @property
    def reach_back(self) -> int:
        """See `TA`: where the window begins of the last row of a group."""
        return _window(self.function, self.arguments).memory + ROWS

    def run(
        self,
        inputs: Sequence[NDArray[np.float64]],
        outputs: Sequence[NDArray[np.float64]],
        start: int,
        stop: int,
        first: int,
        number: int,
        state: NDArray[np.float64],
    ) -> None:
        window = _window(self.function, self.arguments)
        row = start
        while row < stop:
            group = (number + row - start) // ROWS * ROWS  # number of its first row
            end = min(stop, start + group + ROWS - number)
            begin = max(start + max(0, group - window.memory) - number, first)
            columns = [column[begin:end] for column in inputs]
            fits = np.isfinite(columns[0])
            for column in columns[1:]:
                fits &= np.isfinite(column)
            rows = None if fits.all() else np.flatnonzero(fits)
            if rows is not None:
                columns = [column[rows] for column in columns]
            if self.function in _CARRIED:
                found = [_carry_on(self.function, columns, state, end - start + number == group + ROWS)]
            else:
                found = self._call(window, columns, rows, number + begin - start)
            for column, values in zip(outputs, found, strict=True):
                if rows is not None:
                    spread = np.full(end - begin, np.nan)
                    spread[rows] = values
                    values = spread
                values = values[row - begin :]
                column[row:end] = np.where(np.isfinite(values), values, np.nan)
            row = end

    def _call(
        self, window: _Window, columns: list[NDArray[np.float64]], rows: NDArray[np.int64] | None, number: int
    ) -> list[NDArray[np.float64]]:
        """TA-Lib's values.

        Args:
            columns: without the rows that are left out; rows: which these are, None for all.
            number: of the first row of all, counted from the indicator's first one.
        """
        delay, count = window.lookback, len(columns[0])
        if count <= delay:
            return [np.full(count, np.nan) for _ in self.outputs]
        called = _function(self.function).call(*columns, **dict(self.arguments))
        found = [np.asarray(values, np.float64) for values in (called if isinstance(called, list | tuple) else [called])]
        for values in found:
            if self.function in _INDEXES:
                at = values[delay:].astype(np.int64)
                values[delay:] = number + (at if rows is None else rows[at])
            values[:delay] = np.nan  # integers are 0 there
            if rows is not None and window.only:
                # A row that was left out is still in the window of these.
                values[delay:][rows[delay:] - rows[: count - delay] > delay] = np.nan
        return found


def _carry_on(
    function: str, columns: list[NDArray[np.float64]], state: NDArray[np.float64], complete: bool
) -> NDArray[np.float64]:
    """Values of a function that adds up, of the rows of a group.

    Args:
        complete: these are all rows of the group, and what it has come to is to be kept.
    """
    call = _function(function).call
    if not len(columns[0]):
        return np.zeros(0)
    if state[_HAS] == 0.0:
        values = np.asarray(call(*columns))
    else:
        total, last = state[_VALUE], state[_LAST:]
        # The first row is one that brings the function to where it was.
        if function == "OBV":
            before = [last[0], total]
        elif function == "AD":
            before = [1.0, 0.0, 1.0, total]
        elif function == "CUMSUM":
            before = [total]
        elif function == "VWAP":
            before = [total, total, total, state[_VOLUME]]
        else:
            before = last[: len(columns)].tolist()
        values = np.asarray(call(*(np.concatenate([[one], column]) for one, column in zip(before, columns, strict=True))))
        if function in ("NVI", "PVI"):
            values = total * (values / values[0])
        elif function in ("PVT", "WAD"):
            values = total + (values - values[0])
        values = values[1:]
    if complete:
        has = np.flatnonzero(np.isfinite(values))
        if len(has):
            state[_HAS] = 1.0
            state[_VALUE] = values[has[-1]]
            state[_LAST : _LAST + len(columns)] = [column[has[-1]] for column in columns]
            if function == "VWAP":
                state[_VOLUME] = np.add.accumulate(np.concatenate([state[[_VOLUME]], columns[3]]))[-1]
    return cast("NDArray[np.float64]", values)


def functions() -> tuple[str, ...]:
    """Names of all functions of the TA-Lib that is installed.

    Raises:
        MissingExtra: none is.
    """
    return tuple(sorted(_talib().get_functions()))


def _talib() -> Any:
    try:
        return importlib.import_module("talib")
    except ImportError as error:
        raise MissingExtra("talib", "an indicator of TA-Lib") from error


@functools.cache
def _function(name: str) -> _Function:
    talib = _talib()
    known = talib.get_functions()
    if name not in known:
        raise IndicatorError(f"TA-Lib {talib.__version__} has no function {name!r}{_hint(str(name), known)}")
    info = importlib.import_module("talib.abstract").Function(name).info
    inputs: list[str] = []
    replaceable: list[int] = []
    for fields in info["input_names"].values():
        if isinstance(fields, str):
            replaceable.append(len(inputs))
            inputs.append(fields)
        else:
            inputs += fields
    outputs = tuple(output.lower() for output in info["output_names"])
    return _Function(
        getattr(talib, name),
        tuple(inputs),
        tuple(replaceable),
        dict(info["parameters"]),
        ("value",) if outputs in (("real",), ("integer",)) else outputs,
    )


@functools.lru_cache(1024)
def _window(name: str, arguments: tuple[tuple[str, int | float], ...]) -> _Window:
    """What the rows of a function depend on.

    Raises:
        ValueError: TA-Lib refuses the parameters.
    """
    known = _function(name)
    function = importlib.import_module("talib.abstract").Function(name)
    if arguments:
        function.parameters = dict(arguments)
    lookback = int(function.lookback)
    if lookback < 0:
        given = ", ".join(f"{argument}={value:g}" for argument, value in arguments)
        usual = ", ".join(f"{argument}={value:g}" for argument, value in known.defaults.items())
        raise ValueError(f"TA-Lib refuses {name} with {given}; what it has itself is {usual}")
    averages = [value for argument, value in arguments if argument.endswith("matype")]
    if name in _CARRIED:
        return _Window(lookback, 0, False)
    if (name in _WINDOWED or name.startswith("CDL")) and all(average in _WINDOWED_AVERAGES for average in averages):
        return _Window(lookback, lookback, True)
    longest = max((value for argument, value in arguments if "period" in argument), default=0)
    fade = _FADES["KAMA"] if _KAUFMAN in averages else _FADES.get(name, _FADE)
    lightest = dict(arguments).get("slowlimit", 0)  # MAMA's least weight of a row
    return _Window(lookback, lookback + max(_LEAST, int(fade * longest), int(20 / lightest) if lightest else 0), False)


def _checked(name: str, value: object, usual: int | float) -> int | float:
    if isinstance(usual, int):
        try:
            return check_whole(name, value, -(2**31))
        except ValueError:
            raise ValueError(f"{name} is a whole number, not {value!r}") from None
    return check_number(name, value)


def _hint(word: str, choices: Sequence[str] | Mapping[str, Any]) -> str:
    near = nearest(word, choices)
    return f"; did you mean {near!r}?" if near else ""

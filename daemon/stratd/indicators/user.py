"""Users' indicators: small functions that are compiled and shared, and classes of plain Python."""

from __future__ import annotations

import copy
import functools
import inspect
import math
import types
from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from stratd.core.kernel import Operation
from stratd.core.names import nearest
from stratd.errors import IndicatorError, KernelError
from stratd.indicators.base import (
    FIELDS,
    Composite,
    Indicator,
    On,
    Output,
    Primitive,
    Source,
    StreamInfo,
    check_number,
    check_source,
    check_whole,
    reach_of,
    warmup_of,
)
from stratd.indicators.user_code import FAILED, STATE, content, rows_operation

_NAN: Final = float("nan")


# Compiled functions.


def compiled_indicator(
    *,
    state: int = 0,
    window: int | str | None = None,
    inputs: Mapping[str, Source] | None = None,
    outputs: Sequence[str] = ("value",),
    warmup: int | str | Callable[..., int] | None = None,
    skip_bad_rows: bool = True,
) -> Callable[[Callable[..., Any]], CompiledFunction]:
    """Make an indicator of a function that is called for each row. It is compiled when it is first used.

        @compiled_indicator(state=1)
        def smoothed_range(high, low, state, period=10):
            state[0] += (high - low - state[0]) / period
            return state[0]

        self.range = ctx.indicator(smoothed_range(period=20), symbol, "5m")

    What the function's arguments are is told by their names:

    - `open`, `high`, `low`, `close`, `volume`, and those named in `inputs`: the row's values, as floats. `of` gives it others, in
      the order of the arguments;
    - `state`: a float64 array, zeros before the first row. All that is kept from row to row must be in it;
    - any other: a parameter, a float. What has a default may be left out.

    It returns a number; NaN where there is no value yet. It may call functions of `math` and numpy as far as numba knows them,
    kernels (`stratd.core.kernel`), functions that numba's own `njit` has marked, and plain functions, which are compiled with
    it; it may use constants, global ones and those of modules. It must not keep anything in globals, and has no way to look
    at later rows. Globals of other kinds are refused (a KernelError when it is first used): an edit of them would go unnoticed.

    What it raises ends it: that row and all after it are NaN. An index that is out of range raises, also in the functions and
    kernels that it calls: these are compiled once more for it, with checks.

    Args:
        state: cells of `state`.
        window: how many rows the function is to see, or the parameter that says so: its inputs are read-only float64
            arrays then, oldest first, and it is called once there are so many.
        inputs: sources of arguments that are not named like fields: `inputs={"fast": EMA(12)}`.
        outputs: names of what it returns; a tuple if there are several.
        warmup: rows until its first value, or the parameter that says so, or a function of the parameters (by name). What it
            returns before is not shown. The window, or 1, unless given.
        skip_bad_rows: do not call it for rows with NaN or infinity in an input: the row's value is NaN, and the function goes on
            as if it had not been. A window has none as long as such a row is in it. False: it is called for every row.

    Raises:
        IndicatorError: the function cannot be an indicator.
    """

    def make(function: Callable[..., Any]) -> CompiledFunction:
        return CompiledFunction(function, state, window, inputs or {}, tuple(outputs), warmup, skip_bad_rows)

    return make


class CompiledFunction:
    """What `compiled_indicator` makes of a function. Calling it with parameters gives an indicator.

    Two are equal if they have the same name, module, code (that of the functions it calls, and the constants that it uses,
    included) and options.

    Thread safety: immutable, but for what is made once, when it is first used.

    Attributes:
        function: the plain function, for tests and debugging.
        inputs: source by argument; parameters: default by argument, None where there is none.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        state: int,
        window: int | str | None,
        inputs: Mapping[str, Source],
        outputs: tuple[str, ...],
        warmup: int | str | Callable[..., int] | None,
        skip_bad_rows: bool,
    ) -> None:
        if not isinstance(function, types.FunctionType):
            raise IndicatorError(f"a compiled indicator is a function, not {function!r}")
        self.function = function
        self.state = check_whole("state", state, 0)
        self.window = window
        self.outputs = outputs
        self.warmup = warmup
        self.skip_bad_rows = skip_bad_rows
        self.inputs: dict[str, Source] = {}
        self.parameters: dict[str, float | None] = {}
        self.name = function.__name__
        self.module, self.__qualname__ = function.__module__, function.__qualname__
        self.arguments = tuple(inspect.signature(function).parameters)
        functools.update_wrapper(self, function)
        self._check(inputs)

    def _check(self, inputs: Mapping[str, Source]) -> None:
        code = self.function.__code__
        if code.co_freevars:
            raise self._error(f"uses {', '.join(code.co_freevars)} of the function around it: make it a parameter, or a global")
        for name, argument in inspect.signature(self.function).parameters.items():
            if argument.kind is not argument.POSITIONAL_OR_KEYWORD:
                raise self._error(f"has the argument {argument}: write each one by its name")
            if name in inputs or name in FIELDS:
                check_source(inputs.get(name, name))
                self.inputs[name] = inputs.get(name, name)
            elif name != "state":
                default = None if argument.default is argument.empty else check_number(name, argument.default)
                self.parameters[name] = default
        unknown = sorted(set(inputs) - set(self.arguments))
        if unknown:
            raise self._error(f"has no argument {unknown[0]!r}{_hint(unknown[0], self.arguments)}")
        if not self.inputs:
            raise self._error(f"has no input: name an argument {', '.join(FIELDS)}, or give inputs={{...}}")
        if ("state" in self.arguments) != (self.state > 0):
            raise self._error(f"has {'an' if self.state == 0 else 'no'} argument `state`, but state={self.state} cells")
        if (
            not self.outputs
            or not all(name.isidentifier() for name in self.outputs)
            or len(set(self.outputs)) < len(self.outputs)
        ):
            raise self._error(f"outputs are different names, not {self.outputs!r}")
        for what in (self.window, self.warmup):
            if isinstance(what, str) and what not in self.parameters:
                raise self._error(f"has no parameter {what!r}{_hint(what, self.parameters)}")

    def _error(self, what: str) -> IndicatorError:
        code = self.function.__code__
        return IndicatorError(f"{code.co_filename}:{code.co_firstlineno}: {self.name} {what}")

    def __call__(self, *values: float, **named: float) -> CompiledIndicator:
        """The indicator with these parameters.

        Raises:
            ValueError: a parameter is unknown, missing, or not a finite number.
        """
        known = list(self.parameters)
        if len(values) > len(known):
            raise ValueError(f"{self.name} has the parameters {', '.join(known) or '(none)'}; {len(values)} were given")
        given = dict(zip(known, values, strict=False))
        for name, value in named.items():
            if name not in self.parameters or name in given:
                what = "is given twice" if name in given else f"is not one of {', '.join(known)}{_hint(name, known)}"
                raise ValueError(f"{self.name}: the parameter {name!r} {what}")
            given[name] = value
        missing = [name for name, default in self.parameters.items() if default is None and name not in given]
        if missing:
            raise ValueError(f"{self.name} needs a value for {', '.join(missing)}")
        return CompiledIndicator(
            self,
            tuple((name, check_number(name, given.get(name, default))) for name, default in self.parameters.items()),
            tuple(self.inputs.values()),
        )

    @functools.cached_property
    def key(self) -> tuple[Any, ...]:
        """What makes it equal to another."""
        warmup: object = self.warmup
        if isinstance(warmup, types.FunctionType):
            try:
                warmup = content(warmup)
            except KernelError:  # it is not compiled, so it may use anything; then it is like no other
                pass
        return (
            self.module, self.__qualname__, content(self.function), self.state, self.window, tuple(self.inputs.items()),
            self.outputs, warmup, self.skip_bad_rows,
        )  # fmt: skip

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, CompiledFunction) and self.key == other.key)

    def __hash__(self) -> int:
        return hash(self.key)

    def __reduce__(self) -> str:
        return self.__qualname__

    def __repr__(self) -> str:
        return f"<compiled indicator {self.name}>"

    @functools.cached_property
    def operation(self) -> Operation:
        """What computes a column. It is compiled when its address is first asked for."""
        return rows_operation(self)


@dataclass(frozen=True, slots=True, repr=False)
class CompiledIndicator(Primitive):
    """An indicator that a function of the user's computes (see `compiled_indicator`).

    Warm-up, NaN, state and exceptions: as told there. Infinite values become NaN.

    Attributes:
        kind: the function.
        values: its parameters.
        inputs: its sources, in the order of its arguments.
    """

    source_fields = ("inputs",)

    kind: CompiledFunction
    values: tuple[tuple[str, float], ...]
    inputs: tuple[Source, ...]

    def __post_init__(self) -> None:
        for what, number in (("window", self.window), ("warmup", self.delay + 1)):
            check_whole(f"{what} of {self.name}", number, 1)

    @property
    def outputs(self) -> tuple[str, ...]:  # type: ignore[override]
        return self.kind.outputs

    @property
    def name(self) -> str:
        return self.kind.name

    @property
    def label(self) -> str:
        shown = [f"{value:g}" for _, value in self.values]
        if self.inputs != tuple(self.kind.inputs.values()):
            shown += [str(source) for source in self.inputs]
        return f"{self.name}({', '.join(shown)})" if shown else self.name

    def __repr__(self) -> str:
        return self.label

    def of(self, *sources: Indicator | str) -> CompiledIndicator:
        if len(sources) != len(self.inputs):
            names = ", ".join(self.kind.inputs)
            raise IndicatorError(f"{self.name} has {len(self.inputs)} sources ({names}), {len(sources)} were given")
        for source in sources:
            check_source(source)
        return replace(self, inputs=sources)

    @property
    def operation(self) -> Operation:  # type: ignore[override]
        return self.kind.operation

    @property
    def sources(self) -> tuple[Source, ...]:
        return self.inputs

    @property
    def window(self) -> int:
        """Rows that the function sees at once."""
        window = self.kind.window
        return 1 if window is None else self._rows("window", dict(self.values)[window] if isinstance(window, str) else window)

    @property
    def delay(self) -> int:
        warmup = self.kind.warmup
        if warmup is None:
            return self.window - 1
        rows = (
            warmup(**dict(self.values)) if callable(warmup) else dict(self.values)[warmup] if isinstance(warmup, str) else warmup
        )
        return max(self._rows("warmup", rows), self.window) - 1

    def _rows(self, what: str, number: float) -> int:
        return check_whole(f"{what} of {self.name}", int(number) if number == math.floor(number) else number, 1)

    def parameters(self, stream: StreamInfo) -> Sequence[float]:
        return (self.window, self.delay + 1, *(value for _, value in self.values))

    @property
    def state_size(self) -> int:
        return self.kind.state + STATE

    @property
    def reach_back(self) -> int:
        return self.window - 1

    def failed(self, state: NDArray[np.float64]) -> bool:
        """Whether the function has raised; all values since are NaN.

        Args:
            state: of the computation.
        """
        return bool(state[self.kind.state + FAILED])

    def prepare(self) -> None:
        """See `Primitive.prepare`."""
        self.operation.load()

    def failure(self, state: NDArray[np.float64]) -> str:
        """See `Primitive.failure`."""
        return f"an exception at row {self.failed_row(state):,} (from 1) that it was given" if self.failed(state) else ""

    def failed_row(self, state: NDArray[np.float64]) -> int:
        """How many rows had been given to it, that one included, when it raised; 0 if it has not."""
        return int(state[self.kind.state + FAILED])


def _hint(word: str, choices: Sequence[str] | Mapping[str, Any]) -> str:
    near = nearest(word, choices)
    return f"; did you mean {near!r}?" if near else ""


# Plain Python.


class PythonIndicator(Indicator):
    """An indicator in plain Python: subclass it and write `update`, which is called for each row, in order.

        class Streak(PythonIndicator):
            def __init__(self):
                self.length, self.last = 0, math.nan

            def update(self, close):
                self.length = self.length + 1 if close > self.last else 0
                self.last = close
                return float(self.length)

    It runs in its strategy's thread, each handle with an instance of its own, which is copied from the one that you make
    before its first row: so it can keep what it likes on `self`. Nothing else can be computed from it, by another PythonIndicator
    neither. It costs a microsecond a row; where that matters, see `compiled_indicator`.

    `update` is called for rows without NaN or infinity in an input only, unless `skip_bad_rows` is False. It returns a number, a
    tuple if there are several outputs, or None where there is no value yet. If it raises, that row is NaN, who reads the handle next
    gets the exception, and it goes on with the next row.

    Attributes:
        inputs: fields or indicators, in the order of the arguments of `update`.
        outputs: names of what it returns; the first is what `value` means.
        warmup: rows until its first value. Declare how many rows `update` itself needs, in the class or in `__init__`; what one reads
            includes the warm-up of its inputs. What `update` returns before is not shown.
        skip_bad_rows: see above.
    """

    inputs: tuple[Source, ...] = ("close",)
    outputs: tuple[str, ...] = ("value",)  # type: ignore[misc]
    skip_bad_rows: bool = True
    _own_warmup: int = 1
    _arguments: tuple[str, ...] = ()

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        declared = cls.__dict__.get("warmup")
        if declared is not None and not isinstance(declared, property):
            cls._own_warmup = check_whole(f"warmup of {cls.__name__}", declared, 1)
            del cls.warmup

    def __new__(cls, *values: Any, **named: Any) -> PythonIndicator:
        made = super().__new__(cls)
        made._arguments = (*(str(value) for value in values), *(f"{name}={value}" for name, value in named.items()))
        return made

    @abstractmethod
    def update(self, *values: float) -> float | tuple[float, ...] | None:
        """Take the next row's inputs, and return its value or values."""

    if TYPE_CHECKING:
        warmup: int
    else:

        @property
        def warmup(self) -> int:
            return self._own_warmup - 1 + max((warmup_of(source) for source in self.inputs), default=1)

        @warmup.setter
        def warmup(self, rows: int) -> None:
            self._own_warmup = check_whole(f"warmup of {self.name}", rows, 1)

    @property
    def own_warmup(self) -> int:
        """The warm-up without that of its inputs."""
        return self._own_warmup

    @property
    def reach(self) -> int:
        return max((reach_of(source) for source in self.inputs), default=0)

    @property
    def label(self) -> str:
        return f"{self.name}({', '.join(self._arguments)})" if self._arguments else self.name

    def __repr__(self) -> str:
        return self.label

    def of(self, *sources: Indicator | str) -> PythonIndicator:
        """A copy with other inputs.

        Raises:
            IndicatorError: it has another number of inputs, or one of them is computed from an indicator in plain Python.
        """
        if len(sources) != len(self.inputs):
            raise IndicatorError(f"{self.name} has {len(self.inputs)} sources, {len(sources)} were given")
        made = self.new_instance()
        made.inputs = sources
        made._arguments = (*self._arguments, *(str(source) for source in sources))
        made.check_inputs()
        return made

    def check_inputs(self) -> None:
        """Check `inputs`, which a class or its `__init__` may set to anything.

        Raises:
            IndicatorError: one is an indicator in plain Python, or is computed from one.
            ValueError: one is neither an indicator nor the name of a field.
        """
        checked_inputs(self)

    def new_instance(self) -> PythonIndicator:
        """A copy, as it is before its first row."""
        return copy.deepcopy(self)


def checked_inputs(indicator: PythonIndicator) -> tuple[Source, ...]:
    """The inputs of an indicator in plain Python. Errors as for `PythonIndicator.check_inputs`."""
    for source in indicator.inputs:
        check_source(source)
        inner = _python_in(source)
        if inner is not None:
            given = "" if inner is source else f" (in {source})"
            raise IndicatorError(
                f"{indicator.name} has the input {inner.label}{given}, which is in plain Python: nothing can be computed from it; "
                f"compute it in {indicator.name}.update, or make it a compiled_indicator"
            )
    return indicator.inputs


def _python_in(source: Source) -> PythonIndicator | None:
    """The indicator in plain Python that a source is, or is made of."""
    if isinstance(source, str):
        return None
    if isinstance(source, PythonIndicator):
        return source
    inner: Iterable[Source]
    if isinstance(source, Output):
        inner = (source.indicator,)
    elif isinstance(source, On):
        inner = (source.source,)
    elif isinstance(source, Primitive):
        inner = source.sources
    elif isinstance(source, Composite):
        inner = source.parts().values()
    else:
        inner = [getattr(source, name) for name in source.source_fields]
    return next((found for one in inner if (found := _python_in(one)) is not None), None)


class PythonRun:
    """One handle's computation of a PythonIndicator, with an instance of its own.

    Thread safety: belongs to the strategy's thread.

    Attributes:
        indicator: the instance; errors: how many rows it raised at.
    """

    def __init__(self, indicator: PythonIndicator) -> None:
        indicator.check_inputs()
        self.indicator = indicator.new_instance()
        self.errors = 0
        self._raised: BaseException | None = None
        self._seen = 0

    def advance(
        self, inputs: Sequence[NDArray[np.float64]], outputs: Sequence[NDArray[np.float64]], start: int, stop: int
    ) -> None:
        """Compute rows `start` to `stop - 1`.

        Args:
            inputs, outputs: a column for each, rows are positions in them. Nothing at or behind `stop` is looked at.
        """
        indicator = self.indicator
        update, warmup, skip = indicator.update, indicator.own_warmup, indicator.skip_bad_rows
        for column in outputs:
            column[start:stop] = _NAN
        for row, values in enumerate(zip(*(column[start:stop].tolist() for column in inputs), strict=True), start):
            if skip and not all(map(math.isfinite, values)):
                continue
            self._seen += 1
            try:
                found = update(*values)
                numbers = self._checked(found, len(outputs))
            except Exception as error:  # whatever the author's code raises belongs to the author, who gets it at the next read
                self.errors += 1
                self._raised = error
                continue
            if self._seen >= warmup:
                for column, number in zip(outputs, numbers, strict=True):
                    column[row] = number if math.isfinite(number) else _NAN

    def _checked(self, found: float | tuple[float, ...] | None, count: int) -> Sequence[float]:
        if found is None:
            return (_NAN,) * count
        values = (found,) if count == 1 and not isinstance(found, tuple) else found
        if not isinstance(values, tuple) or len(values) != count:
            raise TypeError(f"{self.indicator.name}.update has the outputs {self.indicator.outputs}, it returned {found!r}")
        return [float(value) for value in values]

    def raise_pending(self) -> None:
        """Raise what `update` has raised since this was last called (the newest), if it has."""
        raised, self._raised = self._raised, None
        if raised is not None:
            raise raised

"""What a user's function is compiled from, and to: its code with everything that it uses, and the loop that calls it for each row."""

from __future__ import annotations

import hashlib
import math
import os
import types
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from stratd.core.kernel import Kernel, Operation
from stratd.errors import KernelError

if TYPE_CHECKING:
    from stratd.indicators.user import CompiledFunction

# State, behind the function's own.
SEEN: Final = 0  # rows whose inputs were usable
RUN: Final = 1  # of these, how many follow each other up to now
ROWS: Final = 2  # all rows
FAILED: Final = 3  # the row (from 1) at which the function raised; 0: at none
STATE: Final = 4
# Modules whose functions numba knows. They change with numba's and Python's version, which a cache is named by.
_KNOWN_MODULES: Final = ("math", "numpy", "numba", "cmath", "operator")
# How users' functions are compiled: an index that is out of range raises, division by zero gives infinity or NaN.
_OPTIONS: Final = {"error_model": "numpy", "boundscheck": True}
# What numba raises for code that it cannot compile, besides errors of its own; some are also what an unusable cache raises.
_COMPILER_ERRORS: Final = (
    AssertionError, AttributeError, ImportError, IndexError, KeyError, NotImplementedError, TypeError, ValueError,
)  # fmt: skip


def rows_operation(kind: CompiledFunction) -> Operation:
    """The operation that calls a user's function for each row."""
    from numba import carray

    code = kind.function.__code__
    # As many empty lines before it as in the user's file, under whose name numba caches it.
    text = "\n" * (code.co_firstlineno - 1) + _source(kind)
    space: dict[str, Any] = {"carray": carray, "isfinite": math.isfinite, "NAN": math.nan, "user_function": _Row(kind)}
    exec(compile(text, code.co_filename, "exec"), space)  # noqa: S102, text of our own
    made = space["rows"]
    made.__module__, made.__qualname__ = kind.function.__module__, f"{kind.function.__qualname__}.rows"
    return _Rows(made)


def _source(kind: CompiledFunction) -> str:
    """The loop over the rows. numba can catch all exceptions or none, and cannot tell which it was."""
    names, outputs = list(kind.inputs), range(len(kind.outputs))
    windowed = kind.window is not None
    seen, run, count, failed = (f"state[{kind.state + cell}]" for cell in (SEEN, RUN, ROWS, FAILED))

    def argument(name: str) -> str:
        if name in kind.inputs:
            return f"input{names.index(name)}[{'row + 1 - window:row + 1' if windowed else 'row'}]"
        return "own" if name == "state" else f"parameters[{2 + list(kind.parameters).index(name)}]"

    usable = [f"isfinite(input{at}[row])" for at in range(len(names))] if kind.skip_bad_rows else ["True"]
    found = [f"found[{at}]" if len(outputs) > 1 else "found" for at in outputs]
    column = "carray(inputs[{0}], stop)" if windowed else "inputs[{0}]"
    lines = [
        "def rows(inputs, outputs, start, stop, parameters, state):",
        *(f"    input{at} = {column.format(at)}" for at in range(len(names))),
        *(f"    output{at} = outputs[{at}]" for at in outputs),
        f"    own = carray(state, {max(1, kind.state)})",
        "    window, warmup = int(parameters[0]), parameters[1]",
        f"    seen, run, count = {seen}, {run}, {count}",
        "    row = start",
        "    try:",
        f"        while row < stop and {failed} == 0.0:",
        *(f"            output{at}[row] = NAN" for at in outputs),
        "            count += 1.0",
        f"            if {' and '.join(usable)}:",
        "                seen += 1.0",
        "                run += 1.0",
        "                if run >= window:",
        f"                    found = user_function({', '.join(argument(name) for name in kind.arguments)})",
        "                    if seen >= warmup:",
        *(f"                        output{at}[row] = {found[at]} if isfinite({found[at]}) else NAN" for at in outputs),
        "            else:",
        "                run = 0.0",
        "            row += 1",
        "    except Exception:",
        f"        {failed} = count",
        "    while row < stop:",
        *(f"        output{at}[row] = NAN" for at in outputs),
        "        row += 1",
        f"    {seen}, {run}, {count} = seen, run, count",
    ]
    return "\n".join(lines) + "\n"


class _Row(Kernel):
    """A user's function, compiled with checks of indexes."""

    def __init__(self, kind: CompiledFunction) -> None:
        # All that it is compiled with, for the name of its cache file.
        signature = f"row {kind.arguments} {list(kind.inputs)} {kind.outputs} {kind.window is None} {_OPTIONS}"
        super().__init__(with_helpers(kind.function, ()), signature, ieee=True)
        self.kind = kind

    def compile(self, numba: Any, function: Callable[..., Any], cache: bool) -> tuple[Callable[..., Any], bool]:
        """See `Kernel.compile`.

        Raises:
            KernelError: numba fails at the function.
        """
        name_by_content(function, self.function)
        try:
            return self._compile(numba, function, cache and has_file(function))
        except _COMPILER_ERRORS:
            try:
                self._compile(numba, function, False)
            except _COMPILER_ERRORS as error:
                raise KernelError(f"{type(error).__name__}: {error}") from error
            raise  # it was the cache

    def _compile(self, numba: Any, function: Callable[..., Any], cache: bool) -> tuple[Callable[..., Any], bool]:
        nb, kind = numba.types, self.kind
        column = nb.float64 if kind.window is None else nb.Array(nb.float64, 1, "C", readonly=True)
        arguments = [
            column if name in kind.inputs else nb.Array(nb.float64, 1, "C") if name == "state" else nb.float64
            for name in kind.arguments
        ]
        result = nb.float64 if len(kind.outputs) == 1 else nb.UniTuple(nb.float64, len(kind.outputs))
        dispatcher = numba.njit(result(*arguments), cache=cache, **_OPTIONS)(function)
        return dispatcher, bool(sum(dispatcher.stats.cache_hits.values()))

    def load(self) -> Callable[..., Any]:
        """The compiled function.

        Raises:
            KernelError: it does not compile; the message says in which file.
        """
        try:
            return super().load()
        except KernelError as error:
            code = self.function.__code__
            raise KernelError(
                f"{code.co_filename}:{code.co_firstlineno}: the indicator {self.kind.name} cannot be compiled: {error}"
            ) from error


class _Rows(Operation):
    """What calls a user's function for each row."""

    def compile(self, numba: Any, function: Callable[..., Any], cache: bool) -> tuple[Callable[..., Any], bool]:
        """See `Kernel.compile`."""
        name_by_content(function, self.function)
        return super().compile(numba, function, cache and has_file(function))


class _Helper(Kernel):
    """A plain function that a user's function calls. It is compiled into that one, for the types it is called with."""

    def load(self) -> Callable[..., Any]:
        """What numba calls."""
        if self._dispatcher is None:
            import numba

            self._dispatcher = numba.njit(**_OPTIONS)(self.function)
        return self._dispatcher


def with_helpers(function: types.FunctionType, path: tuple[types.CodeType, ...]) -> types.FunctionType:
    """A copy of a function whose plain helpers can be compiled.

    Raises:
        KernelError: a helper calls itself, by way of others or not, or is not made of globals alone.
    """
    where = f"{function.__code__.co_filename}:{function.__code__.co_firstlineno}: {function.__name__}"
    if function.__code__ in path:
        raise KernelError(f"{where} is called by itself: a compiled indicator cannot do that, use a loop")
    if function.__code__.co_freevars:
        raise KernelError(
            f"{where} uses {', '.join(function.__code__.co_freevars)} of the function around it: pass it as an argument"
        )
    replaced: dict[str, Any] = {}
    for name in _names(function):
        value = function.__globals__.get(name)
        if isinstance(value, types.FunctionType) and not _is_known(value):
            inner = with_helpers(value, (*path, function.__code__))
            # A helper's own helpers are loaded here; the kernel loads only those of the function itself.
            inner.__globals__.update(
                {one: found.load() for one in _names(inner) if isinstance(found := inner.__globals__.get(one), Kernel)}
            )
            replaced[name] = _Helper(inner, "helper")
    made = types.FunctionType(function.__code__, {**function.__globals__, **replaced}, function.__name__, function.__defaults__)
    made.__module__, made.__qualname__ = function.__module__, function.__qualname__
    return made


def content(function: Callable[..., Any]) -> str:
    """Names what a function is compiled from: code, defaults, constants and modules' attributes that it uses, and its helpers' likewise."""
    return hashlib.blake2b("\n".join(_describe(function, set())).encode(), digest_size=8).hexdigest()


def _describe(function: Callable[..., Any], seen: set[types.CodeType]) -> Iterator[str]:
    code = function.__code__
    if code in seen:
        return
    seen.add(code)
    yield repr(function.__defaults__)
    for part in _codes(code):
        constants = [one for one in part.co_consts if not isinstance(one, types.CodeType)]
        yield f"{part.co_code.hex()} {part.co_names} {part.co_varnames} {constants!r}"
    names = _names(function)
    for name in names:
        value = function.__globals__.get(name)
        if isinstance(value, types.ModuleType):
            if value.__name__.split(".")[0] not in _KNOWN_MODULES:
                for inner in names:
                    yield from _describe_value(f"{name}.{inner}", getattr(value, inner, None), seen)
        else:
            yield from _describe_value(name, value, seen)


def _describe_value(name: str, value: Any, seen: set[types.CodeType]) -> Iterator[str]:
    value = getattr(value, "py_func", value)  # of a function that numba's own decorator has marked
    if isinstance(value, Kernel):
        yield f"{name} {value.signature} {value.ieee}"
        value = value.function
    if isinstance(value, types.FunctionType):
        if not _is_known(value):
            yield name
            yield from _describe(value, seen)
    elif isinstance(value, np.ndarray | np.generic):
        yield f"{name} {value.dtype} {value.shape} {value.tobytes().hex()}"
    elif isinstance(value, int | float | complex | str | bytes | tuple | list):
        yield f"{name} {value!r}"


def _is_known(function: types.FunctionType) -> bool:
    return (function.__module__ or "").split(".")[0] in _KNOWN_MODULES


def _names(function: Callable[..., Any]) -> list[str]:
    """Every global name, and name of an attribute, that a function uses."""
    return sorted({name for part in _codes(function.__code__) for name in part.co_names})


def _codes(code: types.CodeType) -> list[types.CodeType]:
    """A function's code and that of its inner functions."""
    inner = [part for constant in code.co_consts if isinstance(constant, types.CodeType) for part in _codes(constant)]
    return [code, *inner]


def name_by_content(copied: Callable[..., Any], function: Callable[..., Any]) -> None:
    """Put what a function is compiled from into the name of the cache file of its copy."""
    copied.__qualname__ = f"{copied.__qualname__}_{content(function)}"


def has_file(function: Callable[..., Any]) -> bool:
    """Whether numba can cache it: it cannot what was typed in."""
    return os.path.isfile(function.__code__.co_filename)

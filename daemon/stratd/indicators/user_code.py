"""What a user's function is compiled from, and to: its code with everything that it uses, and the loop that calls it for each row."""

from __future__ import annotations

import dis
import enum
import hashlib
import itertools
import math
import os
import types
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from stratd.core.kernel import Intrinsic, Kernel, Operation, parse_signature
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
_KNOWN_MODULES: Final = ("math", "numpy", "numba", "cmath", "operator", "builtins")
_MISSING: Final = object()
_copies: Final = itertools.count(1)  # of modules; numba takes two of the same name for one
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


class _Checked(Kernel):
    """A kernel that a user's function calls, compiled once more: with checks of indexes."""

    def __init__(self, kernel: Kernel, function: Callable[..., Any]) -> None:
        super().__init__(function, f"{kernel.signature} checked", kernel.release_gil, kernel.ieee)
        self.types = kernel.signature

    def compile(self, numba: Any, function: Callable[..., Any], cache: bool) -> tuple[Callable[..., Any], bool]:
        """See `Kernel.compile`."""
        name_by_content(function, self.function)
        dispatcher = numba.njit(
            parse_signature(self.types),
            cache=cache and has_file(function),
            boundscheck=True,
            error_model="numpy" if self.ieee else "python",
        )(function)
        return dispatcher, bool(sum(dispatcher.stats.cache_hits.values()))


def with_helpers(
    function: types.FunctionType, callers: tuple[types.CodeType, ...], made: dict[int, tuple[Any, Any]] | None = None
) -> types.FunctionType:
    """A copy of a function whose helpers (plain functions, kernels, and what numba's own decorator has marked) check indexes.

    Args:
        made: what is called in place of a helper, or None, behind it, by its id. So long as it is held here, the id is its own.

    Raises:
        KernelError: a helper calls itself, by way of others or not, is not made of globals alone, or does not compile.
    """
    made = {} if made is None else made
    if any(function.__code__ is one for one in callers):
        raise KernelError(f"{_where(function)} is called by itself: a compiled indicator cannot do that, use a loop")
    _check_closure(function)
    replaced: dict[tuple[str, ...], Any] = {}
    for path, value in _used(function):
        if id(value) not in made:
            made[id(value)] = value, _checked_helper(value, (*callers, function.__code__), made)
        _, helper = made[id(value)]
        if helper is not None:
            replaced[path] = helper
    copied = types.FunctionType(
        function.__code__, _with_replaced(function.__globals__, replaced), function.__name__, function.__defaults__
    )
    copied.__kwdefaults__ = function.__kwdefaults__
    copied.__module__, copied.__qualname__ = function.__module__, function.__qualname__
    return copied


def _checked_helper(value: Any, callers: tuple[types.CodeType, ...], made: dict[int, tuple[Any, Any]]) -> Any:
    """What numba is to call in place of a helper; None: what it is already, or it is no helper."""
    import numba

    if isinstance(value, Intrinsic):
        return value.load()
    if isinstance(value, Kernel):
        if isinstance(value, Operation) or not isinstance(value.function, types.FunctionType):
            return None
        return _Checked(value, with_helpers(value.function, callers, made)).load()
    if isinstance(value, types.FunctionType) and not _is_known(value):
        return numba.njit(**_OPTIONS)(with_helpers(value, callers, made))
    if not _is_dispatcher(value) or _is_known(value.py_func):
        return None
    inner = with_helpers(value.py_func, callers, made)
    signatures = list(value.nopython_signatures) if not value._can_compile else None
    # What raises in one of several threads is not what the rows' loop can catch: it is compiled for one.
    options = {**value.targetoptions, "boundscheck": True, "parallel": False}
    try:
        return numba.jit(signatures, locals=value.locals, **options)(inner)
    except (numba.core.errors.NumbaError, *_COMPILER_ERRORS) as error:
        raise KernelError(f"{_where(inner)} cannot be compiled with checks of indexes: {error}") from error


def _with_replaced(space: Mapping[str, Any], replaced: Mapping[tuple[str, ...], Any]) -> dict[str, Any]:
    """Globals with other values in some places; a module in which such a place is is replaced by a copy."""
    made = dict(space)
    for name in {path[0] for path in replaced}:
        inner = {path[1:]: value for path, value in replaced.items() if path[0] == name}
        if () in inner:
            made[name] = inner[()]
        else:
            module = made[name]
            attributes = {**vars(module), **{path[0]: getattr(module, path[0]) for path in inner}}
            made[name] = types.ModuleType("")
            vars(made[name]).update(_with_replaced(attributes, inner))
            vars(made[name]).update(__name__=f"{module.__name__} copy {next(_copies)}", __spec__=None, __loader__=None)
    return made


def content(function: Callable[..., Any]) -> str:
    """Names what a function is compiled from: code, defaults, all that it uses of globals and modules, and its helpers' likewise.

    Raises:
        KernelError: it uses something of which cannot be told whether it has been edited.
    """
    return hashlib.blake2b("\n".join(_describe(function, set())).encode(), digest_size=8).hexdigest()


def _describe(function: Callable[..., Any], seen: set[tuple[int, int]]) -> Iterator[str]:
    code = function.__code__
    if (id(code), id(function.__globals__)) in seen:
        return
    seen.add((id(code), id(function.__globals__)))
    _check_closure(function)
    yield from _describe_code(code)
    given = [*enumerate(function.__defaults__ or ()), *sorted((function.__kwdefaults__ or {}).items())]
    for path, value in [*_used(function), *(((f"the default {name}",), value) for name, value in given)]:
        name = ".".join(path)
        try:
            yield from _describe_value(name, value, seen)
        except _Unknown as unknown:
            raise KernelError(
                f"{_where(function)} uses {name}, {unknown}. numba compiles what it is now into the function, and whether it has "
                "been edited since could not be told. A compiled indicator may use numbers, strings, tuples, enums, numpy arrays, "
                "plain functions, kernels, and functions marked by numba.njit, also as attributes of modules"
            ) from None


class _Unknown(Exception):
    """What a global is, if that cannot be described."""


def _describe_code(code: types.CodeType) -> Iterator[str]:
    for part in _codes(code):
        constants = [one for one in part.co_consts if not isinstance(one, types.CodeType)]
        yield f"{part.co_code.hex()} {part.co_names} {part.co_varnames} {constants!r}"


def _describe_value(name: str, value: Any, seen: set[tuple[int, int]]) -> Iterator[str]:
    """What numba compiles in for a value.

    Raises:
        _Unknown: it is of no known kind.
    """
    if isinstance(value, types.ModuleType):
        if not _is_known_name(value.__name__):
            raise _Unknown(f"the module {value.__name__}, as a value: write what is used of it as {name}.something")
        yield f"{name} module {value.__name__}"
    elif isinstance(value, enum.Enum):
        yield f"{name} {type(value).__qualname__}.{value.name}"
        yield from _describe_value(name, value.value, seen)
    elif isinstance(value, enum.EnumMeta):
        member: enum.Enum
        for one, member in value.__members__.items():
            yield from _describe_value(f"{name}.{one}", member, seen)
    elif value is None or isinstance(value, int | float | complex | str | bytes):
        yield f"{name} {type(value).__name__} {value!r}"
    elif isinstance(value, np.ndarray | np.generic) and not value.dtype.hasobject:
        yield f"{name} {value.dtype} {value.shape} {value.tobytes().hex()}"
    elif isinstance(value, tuple | list):
        yield f"{name} {type(value).__qualname__} {getattr(value, '_fields', len(value))}"
        for at, part in enumerate(value):
            yield from _describe_value(f"{name}[{at}]", part, seen)
    elif isinstance(value, type) and issubclass(value, tuple) and hasattr(value, "_fields"):
        yield f"{name} {value.__qualname__} {value._fields}"
        yield from _describe_value(name, tuple(value._field_defaults.items()), seen)  # type: ignore[attr-defined]
    elif isinstance(value, Intrinsic):
        yield f"{name} intrinsic"
        yield from _describe_code(value.function.__code__)
    elif isinstance(value, Kernel) and not isinstance(value, Operation):
        yield f"{name} {value.signature} {value.ieee}"
        yield from _describe(value.function, seen)
    elif _is_dispatcher(value):
        options = sorted((one, sorted(of) if isinstance(of, set) else of) for one, of in value.targetoptions.items())
        yield f"{name} {options} {sorted(value.locals.items())} {value._can_compile or value.nopython_signatures}"
        yield from _describe_value(name, value.py_func, seen)
    elif isinstance(value, types.FunctionType) and not _is_known(value):
        yield f"{name} function"
        yield from _describe(value, seen)
    elif _is_known(value):
        yield f"{name} is {_full_name(value)}"
    else:
        raise _Unknown(f"{'the class' if isinstance(value, type) else 'an object of the class'} {_full_name(value)}")


def _is_known(value: Any) -> bool:
    """Whether Python, numpy or numba have it, under its name, or it is an exception: nothing of it is compiled in but what it is."""
    kind = type(value)
    if isinstance(value, types.BuiltinFunctionType | np.ufunc | np.dtype) or kind.__module__.startswith("numba.core.types."):
        return True
    if isinstance(value, types.FunctionType | type) or kind.__module__ == "numpy":
        return _is_known_name(value.__module__ or "") or (isinstance(value, type) and issubclass(value, BaseException))
    return False


def _is_known_name(module: str) -> bool:
    return module.split(".")[0] in _KNOWN_MODULES


def _full_name(value: Any) -> str:
    if isinstance(value, np.dtype) or type(value).__module__.startswith("numba.core.types."):
        return repr(value)
    named = value if hasattr(value, "__name__") else type(value)
    return f"{getattr(named, '__module__', '')}.{getattr(named, '__qualname__', named.__name__)}"


def _is_dispatcher(value: Any) -> bool:
    """Whether it is what numba's own decorators make of a function."""
    return any((kind.__module__, kind.__name__) == ("numba.core.dispatcher", "Dispatcher") for kind in type(value).__mro__)


def _where(function: Callable[..., Any]) -> str:
    return f"{function.__code__.co_filename}:{function.__code__.co_firstlineno}: {function.__name__}"


def _check_closure(function: Callable[..., Any]) -> None:
    if function.__code__.co_freevars:
        names = ", ".join(function.__code__.co_freevars)
        raise KernelError(f"{_where(function)} uses {names} of the function around it: pass it as an argument")


def _used(function: Callable[..., Any]) -> list[tuple[tuple[str, ...], Any]]:
    """The globals that a function uses, in order of their names. Of a user's module what is used of it, however deep: `a.b.c`."""
    found: dict[tuple[str, ...], Any] = {}
    for chain in _chains(function):
        value, depth = function.__globals__.get(chain[0], _MISSING), 1
        while isinstance(value, types.ModuleType) and not _is_known_name(value.__name__) and depth < len(chain):
            value, depth = getattr(value, chain[depth], _MISSING), depth + 1
        if value is not _MISSING:  # a built-in function; or numba says that there is no such thing
            found[chain[:depth]] = value
    return sorted(found.items(), key=lambda one: one[0])


def _chains(function: Callable[..., Any]) -> Iterator[tuple[str, ...]]:
    """Every global that a function's code loads, with the attributes that it goes on to take of it."""
    for part in _codes(function.__code__):
        chain: tuple[str, ...] = ()
        for step in dis.get_instructions(part):
            if step.opname in ("LOAD_ATTR", "LOAD_METHOD") and chain:
                chain = (*chain, step.argval)
            elif step.opname != "EXTENDED_ARG":
                if chain:
                    yield chain
                chain = (step.argval,) if step.opname in ("LOAD_GLOBAL", "LOAD_NAME") else ()


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

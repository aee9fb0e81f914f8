"""Compiled kernels: one signature each, cached by content, never compiled by surprise.

What numba does not do by itself, each seen to go wrong:

- It does not notice an edited helper or constant in another file. So the cache directory is named by the hash of all of
  stratd's sources that hold kernels, numba's version and the CPU, and a kernel's files by the hash of its code, its helpers' code
  and the constants that both use, wherever they come from.
- Its cache location is fixed when a function is decorated. So kernels are only marked at import, and made on `load`.
- It recompiles for every new combination of argument types (110 to 180 ms for a read-only or strided array). So a kernel
  has one explicit signature, and any other types are an error.
- A cache directory that is full or read-only, or a file in it that a power cut has emptied, is an exception. Here it is one
  warning, and the kernel runs uncached.

An `Operation` is a kernel that another kernel calls by its address, so that one call from Python can run many different ones.
"""

from __future__ import annotations

import functools
import hashlib
import logging
import os
import pickle
import platform
import re
import threading
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from stratd.core.clock import perf_ns
from stratd.core.paths import cache_root
from stratd.errors import KernelError

log = logging.getLogger("stratd.kernel")

# Read-only arrays, as readers get them from PROT_READ memory, are types of their own to numba; writable ones convert.
_TYPE_NAMES: Final = {
    "i4": "int32",
    "i8": "int64",
    "u8": "uint64",
    "u1": "uint8",
    "f4": "float32",
    "f8": "float64",
    "b1": "boolean",
    "void": "void",
}
_TYPE: Final = re.compile(r"\s*(ro\s+)?(\w+)\s*(\[[\s:,]*\])?\s*")
# What a cache that cannot be used raises: the system's errors, and those of unpickling a file that is cut short or garbage.
_CACHE_ERRORS: Final = (OSError, EOFError, pickle.UnpicklingError, AttributeError, ImportError, IndexError, ValueError)


class KernelStats:
    """Counts of what was compiled and loaded, for metrics. Thread safety: written under the build lock, read anywhere."""

    __slots__ = ("compiled", "loaded", "sealed", "sealed_compilations", "seconds")

    def __init__(self) -> None:
        self.compiled = 0
        self.loaded = 0
        self.seconds = 0.0
        self.sealed = False
        self.sealed_compilations = 0


class Kernel:
    """A function that numba compiles on `load`, for one signature.

    Thread safety: `load` may be called by any thread; builds are serialised by one lock.
    """

    def __init__(self, function: Callable[..., Any], signature: str, release_gil: bool = False, ieee: bool = False) -> None:
        self.function = function
        self.signature = signature
        self.release_gil = release_gil
        self.ieee = ieee
        self._dispatcher: Callable[..., Any] | None = None
        functools.update_wrapper(self, function)

    def compile(self, numba: Any, function: Callable[..., Any], cache: bool) -> tuple[Callable[..., Any], bool]:
        """Have numba compile `function`, a copy of the kernel's. Returns what calls it, and whether it came from the cache."""
        model = "numpy" if self.ieee else "python"
        compiler = numba.njit(parse_signature(self.signature), nogil=self.release_gil, cache=cache, error_model=model)
        dispatcher = compiler(function)
        return dispatcher, bool(sum(dispatcher.stats.cache_hits.values()))

    def load(self) -> Callable[..., Any]:
        """The compiled function. Compiles, or takes it from the cache, the first time."""
        return self._dispatcher if self._dispatcher is not None else _build(self)

    @property
    def is_loaded(self) -> bool:
        """Whether it is ready to be called."""
        return self._dispatcher is not None

    def __call__(self, *args: Any) -> Any:
        return self.load()(*args)


class Operation(Kernel):
    """A kernel that computes one column, called by address: `void(inputs, outputs, start, stop, parameters, state)`.

    `inputs` and `outputs` are arrays of pointers to float64 columns, indexed by row; `parameters` and `state` point
    to float64 cells. A pointer has no length, so an index that is out of range is not caught. Division by zero gives
    infinity or NaN.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function, "operation", ieee=True)

    def compile(self, numba: Any, function: Callable[..., Any], cache: bool) -> tuple[Callable[..., Any], bool]:
        """See `Kernel.compile`."""
        nb = numba.types
        column = nb.CPointer(nb.float64)
        signature = nb.void(nb.CPointer(column), nb.CPointer(column), nb.int64, nb.int64, column, column)
        made = numba.cfunc(signature, cache=cache, error_model="numpy")(function)
        return made, bool(made.cache_hits)

    @property
    def address(self) -> int:
        """Where the machine code is. Compiles it, or takes it from the cache, the first time."""
        return int(self.load().address)  # type: ignore[attr-defined]


class Intrinsic(Kernel):
    """A function of kernels that is written as machine instructions: `build` makes it when a kernel needs it."""

    def __init__(self, build: Callable[[], Callable[..., Any]]) -> None:
        super().__init__(build, "intrinsic")

    def load(self) -> Callable[..., Any]:
        """What kernels call."""
        if self._dispatcher is None:
            self._dispatcher = self.function()
        return self._dispatcher


def operation(function: Callable[..., Any]) -> Operation:
    """Mark a function as an operation (see `Operation`)."""
    made = Operation(function)
    _registry.append(made)
    return made


def kernel(signature: str, *, release_gil: bool = False, ieee: bool = False) -> Callable[[Callable[..., Any]], Kernel]:
    """Mark a function as a kernel.

    Args:
        signature: return type and arguments: `"f8(f8[:], ro f8[:,:], i8)"`. Types are `i4 i8 u8 u1 f4 f8 b1` and `void`;
            an array is C-contiguous; `ro` before it accepts read-only memory (and writable memory too).
        release_gil: let other threads run meanwhile. For kernels that work for long: letting go of the interpreter and
            getting it back costs more than a short one, and with 20 threads it doubled the time of a notification.
        ieee: division by zero gives infinity or NaN and does not raise. For helpers of operations.
    """

    def mark(function: Callable[..., Any]) -> Kernel:
        made = Kernel(function, signature, release_gil, ieee)
        _registry.append(made)
        return made

    return mark


_registry: list[Kernel] = []
_build_lock = threading.RLock()
_unusable: set[Path] = set()  # cache directories that have been complained about
stats: Final = KernelStats()


def all_kernels() -> list[Kernel]:
    """Every kernel of the modules imported so far."""
    return list(_registry)


@functools.cache
def cache_directory() -> Path | None:
    """Directory of this build's compiled kernels; None where nothing can be written (said once)."""
    path = cache_root() / "kernels" / _fingerprint()
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe = path / f".probe-{os.getpid()}"
        probe.write_bytes(b"x" * 4096)
        probe.unlink()
    except OSError as error:
        log.warning(
            "kernels are compiled anew at every start: the cache %s cannot be written (%s); "
            "set STRATD_CACHE_DIR to a writable directory",
            path,
            error.strerror or error,
        )
        return None
    return path


def _fingerprint() -> str:
    """Names what a cached kernel depends on: every source file of the package, numba, the CPU."""
    import llvmlite.binding as llvm
    import numba

    digest = hashlib.blake2b(digest_size=12)
    package = Path(__file__).resolve().parent.parent
    for source in sorted(package.rglob("*.py")):
        text = source.read_bytes()
        if any(mark in text for mark in (b"@kernel(", b"@operation\n", b"Intrinsic(")):
            digest.update(str(source.relative_to(package)).encode() + b"\0" + text + b"\0")
    features = ",".join(f"{name}={on}" for name, on in sorted(llvm.get_host_cpu_features().items()))
    for part in (numba.__version__, platform.python_version(), llvm.get_host_cpu_name(), features):
        digest.update(part.encode() + b"\0")
    return digest.hexdigest()


def parse_signature(text: str) -> Any:
    """`"f8(f8[:], ro i8[:,:])"` as a numba signature.

    Raises:
        KernelError: it is not written like that.
    """
    from numba import types as nb

    def one(part: str) -> Any:
        match = _TYPE.fullmatch(part)
        if match is None or match[2] not in _TYPE_NAMES or (match[1] and not match[3]):
            raise KernelError(
                f"signature {text!r}: {part.strip()!r} is no type; write one of {' '.join(_TYPE_NAMES)}, an array as f8[:]"
            )
        scalar = getattr(nb, _TYPE_NAMES[match[2]])
        return nb.Array(scalar, match[3].count(":"), "C", readonly=bool(match[1])) if match[3] else scalar

    whole = re.fullmatch(r"([^(]*)\((.*)\)\s*", text, re.DOTALL)
    if whole is None:
        raise KernelError(f"signature {text!r}: write the return type, then the arguments: f8(f8[:], i8)")
    arguments = re.split(r",(?![^\[]*\])", whole[2]) if whole[2].strip() else []
    return one(whole[1])(*(one(part) for part in arguments))


def _build(target: Kernel) -> Callable[..., Any]:
    with _build_lock:
        if target._dispatcher is not None:
            return target._dispatcher
        directory = cache_directory()
        if directory is not None:
            os.environ["NUMBA_CACHE_DIR"] = str(directory)
        import numba
        import numba.core.config as numba_config

        numba_config.CACHE_DIR = "" if directory is None else str(directory)
        function = target.function
        # The name becomes part of the cache file's name.
        name = f"{function.__qualname__}_{_content(target)}"
        start = perf_ns()
        made = None if directory is None else _from_cache(target, numba, name)
        try:
            if made is None:
                copy = _copy(function, name, {one: helper.load() for one, helper in _helpers(function).items()})
                if directory is None:
                    made = target.compile(numba, copy, False)
                else:
                    try:
                        made = target.compile(numba, copy, True)
                    except _CACHE_ERRORS as error:
                        _say_uncached(directory, error)
                        made = target.compile(numba, copy, False)
        except numba.core.errors.NumbaError as error:
            raise KernelError(f"kernel {function.__module__}.{function.__name__} does not compile: {error}") from error
        dispatcher, hits = made
        stats.loaded += hits
        stats.compiled += not hits
        stats.sealed_compilations += stats.sealed and not hits
        stats.seconds += (perf_ns() - start) / 1e9
        target._dispatcher = dispatcher
        return dispatcher


def _from_cache(target: Kernel, numba: Any, name: str) -> tuple[Callable[..., Any], bool] | None:
    """Have numba make a kernel without its helpers, each of which would take some 2 ms to load: what is cached contains them already.

    Returns:
        What `Kernel.compile` does; None where it does not go without them, because it is not cached.
    """
    try:
        return target.compile(numba, _copy(target.function, name, {}), True)
    except (numba.core.errors.NumbaError, *_CACHE_ERRORS):
        return None


def _copy(function: Callable[..., Any], name: str, helpers: dict[str, Callable[..., Any]]) -> Callable[..., Any]:
    """A function under a name of its own, that sees its helpers compiled."""
    copy = types.FunctionType(function.__code__, {**function.__globals__, **helpers}, function.__name__, function.__defaults__)
    copy.__qualname__ = name
    copy.__module__ = function.__module__
    return copy


def _helpers(function: Callable[..., Any]) -> dict[str, Kernel]:
    """The kernels that a function calls, by the names that it has for them."""
    found = {name: function.__globals__.get(name) for name in _names(function.__code__)}
    return {name: value for name, value in found.items() if isinstance(value, Kernel)}


def _say_uncached(directory: Path, error: Exception) -> None:
    """One warning for a directory, however many kernels it fails."""
    if directory not in _unusable:
        _unusable.add(directory)
        log.warning(
            "kernels are compiled anew at every start: the cache %s cannot be used (%s: %s); "
            "see that its disk has room, and remove the directory if it has",
            directory,
            type(error).__name__,
            error,
        )


def _content(target: Kernel) -> str:
    """Names what a kernel is compiled from: its code, the constants that it uses, and its helpers' likewise."""
    import numpy as np

    digest = hashlib.blake2b(f"{target.signature} {target.release_gil} {target.ieee}".encode(), digest_size=8)
    for code in _codes(target.function.__code__):
        constants = [part for part in code.co_consts if not isinstance(part, types.CodeType)]
        digest.update(code.co_code + f"{constants!r} {code.co_names} {code.co_varnames}".encode())
    digest.update(repr(target.function.__defaults__).encode())
    # An intrinsic is built by plain Python, whose names are not those of kernels.
    for name in () if isinstance(target, Intrinsic) else sorted(_names(target.function.__code__)):
        value = target.function.__globals__.get(name)
        if isinstance(value, Kernel):
            digest.update(f"{name}={_content(value)}".encode())
        elif isinstance(value, np.ndarray | np.generic):
            digest.update(f"{name}={value.dtype}{value.shape}".encode() + value.tobytes())
        elif isinstance(value, int | float | complex | str | bytes | tuple):
            digest.update(f"{name}={value!r}".encode())
    return digest.hexdigest()


def _names(code: types.CodeType) -> set[str]:
    """Every global name that a function uses, inner functions included."""
    return {name for part in _codes(code) for name in part.co_names}


def _codes(code: types.CodeType) -> list[types.CodeType]:
    """A function's code and that of its inner functions."""
    inner = [part for constant in code.co_consts if isinstance(constant, types.CodeType) for part in _codes(constant)]
    return [code, *inner]

from __future__ import annotations

import ctypes
import errno
import math
import os
import subprocess
import sys
import threading
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numba import types as nb

import stratd
from stratd.core import kernel as module
from stratd.core.kernel import Kernel, Operation, all_kernels, cache_directory, stats
from stratd.errors import KernelError

SCALE = 2.0


def add(x: float, y: float) -> float:
    return x + y


def scaled(x: float) -> float:
    return x * SCALE


def total(values: Any) -> float:
    found = 0.0
    for value in values:
        found += value
    return found


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A cache directory of the test's own."""
    import numba.core.config

    before = os.environ.get("NUMBA_CACHE_DIR"), numba.core.config.CACHE_DIR
    monkeypatch.setenv("STRATD_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(module, "_unusable", set())
    cache_directory.cache_clear()
    yield tmp_path / "cache"
    cache_directory.cache_clear()
    os.environ.pop("NUMBA_CACHE_DIR", None)
    if before[0] is not None:
        os.environ["NUMBA_CACHE_DIR"] = before[0]
    numba.core.config.CACHE_DIR = before[1]


@pytest.fixture
def warnings(caplog: pytest.LogCaptureFixture) -> Iterator[Any]:
    """The warnings said about the cache so far."""
    caplog.set_level("WARNING", "stratd.kernel")
    return lambda: [record.getMessage() for record in caplog.records if record.name == "stratd.kernel"]


def with_globals(function: types.FunctionType, **names: Any) -> types.FunctionType:
    return types.FunctionType(function.__code__, {**function.__globals__, **names}, function.__name__)


# The cache.


def test_load_first_compiles_then_takes_it_from_the_cache(cache: Path) -> None:
    compiled, loaded = stats.compiled, stats.loaded
    first = Kernel(add, "f8(f8, f8)")
    assert not first.is_loaded
    assert first.load()(1.0, 2.0) == 3.0 == first(1, 2)
    assert first.is_loaded
    assert (stats.compiled, stats.loaded) == (compiled + 1, loaded)
    assert Kernel(add, "f8(f8, f8)").load()(1.0, 2.0) == 3.0
    assert (stats.compiled, stats.loaded) == (compiled + 1, loaded + 1)


def test_load_another_constant_is_never_served_from_the_cache(cache: Path) -> None:
    results = [Kernel(with_globals(scaled, SCALE=number), "f8(f8)")(10.0) for number in (2.0, 3.0, 2, np.float64(7), 2.0)]
    assert results == [20.0, 30.0, 20.0, 70.0, 20.0]


def test_load_another_table_is_never_served_from_the_cache(cache: Path) -> None:
    def look_up(i: int) -> float:
        return float(TABLE[i])  # type: ignore[name-defined]  # noqa: F821

    results = [Kernel(with_globals(look_up, TABLE=np.array([1.0, last])), "f8(i8)")(1) for last in (2.0, 3.0)]
    assert results == [2.0, 3.0]


def test_load_another_helper_is_never_served_from_the_cache(cache: Path) -> None:
    helpers = [Kernel(with_globals(scaled, SCALE=number), "f8(f8)") for number in (2.0, 3.0)]

    def outer(x: float) -> float:
        return helper(x) + 1.0  # type: ignore[name-defined,no-any-return]  # noqa: F821

    assert [Kernel(with_globals(outer, helper=helper), "f8(f8)")(10.0) for helper in helpers] == [21.0, 31.0]


def test_load_from_the_cache_leaves_helpers_unloaded(cache: Path) -> None:
    def outer(x: float) -> float:
        return helper(x) + 1.0  # type: ignore[name-defined,no-any-return]  # noqa: F821

    found = []
    for _ in range(2):
        inner = Kernel(with_globals(scaled, SCALE=2.0), "f8(f8)")
        found.append((Kernel(with_globals(outer, helper=inner), "f8(f8)")(10.0), inner.is_loaded))

    assert found == [(21.0, True), (21.0, False)]


def test_load_helper_that_calls_another_function_is_never_served_from_the_cache(cache: Path) -> None:
    def down(x: float) -> float:
        return math.floor(x) * 1.0

    def up(x: float) -> float:
        return math.ceil(x) * 1.0  # the same code as that above but for a name

    def outer(x: float) -> float:
        return helper(x) + 1.0  # type: ignore[name-defined,no-any-return]  # noqa: F821

    found = [Kernel(with_globals(outer, helper=Kernel(one, "f8(f8)")), "f8(f8)")(2.5) for one in (down, up)]
    assert found == [3.0, 4.0]


def test_load_another_default_is_never_served_from_the_cache(cache: Path) -> None:
    def first(x: float, y: float = 1.0) -> float:
        return x + y

    made = [first, types.FunctionType(first.__code__, first.__globals__, "first", (2.0,))]

    def outer(x: float) -> float:
        return helper(x)  # type: ignore[name-defined,no-any-return]  # noqa: F821

    found = [Kernel(with_globals(outer, helper=Kernel(one, "f8(f8, omitted)")), "f8(f8)") for one in made]
    assert len({module._content(one) for one in found}) == 2


FILES = {
    "__init__.py": "",
    "constants.py": "STEP = 1.0\n",
    "helper.py": """
from stratd.core.kernel import kernel
@kernel("f8(f8)")
def helper(x):
    return x * 2.0
""",
    "user.py": """
from stratd.constants import STEP
from stratd.core import kernel as module
from stratd.core.kernel import kernel
from stratd.helper import helper
@kernel("f8(f8)")
def user(x):
    return helper(x) + STEP
@module.operation
def column(inputs, outputs, start, stop, parameters, state):
    for row in range(start, stop):
        state[row] = helper(parameters[row]) + STEP
import ctypes
cells = (ctypes.c_double * 2)(10.0, 0.0)
at = ctypes.addressof(cells)
kinds = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p)
ctypes.CFUNCTYPE(None, *kinds)(column.address)(None, None, 0, 1, at, at + 8)
print(user.load()(10.0), module.stats.compiled, cells[1])
""",
}


def test_load_edited_helper_or_constant_in_another_file_is_never_served_from_an_old_cache(tmp_path: Path) -> None:
    package = tmp_path / "stratd"
    package.mkdir()
    source = Path(stratd.__file__).parent
    for name, text in FILES.items():
        (package / name).write_text(text)
    (package / "errors.py").write_bytes((source / "errors.py").read_bytes())
    (package / "core").mkdir()
    for file in (source / "core").glob("*.py"):
        (package / "core" / file.name).write_bytes(file.read_bytes())
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "STRATD_CACHE_DIR": str(tmp_path / "cache")}

    def run() -> list[str]:
        command = [sys.executable, "-B", "-c", "import stratd.user"]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=60).stdout.split()

    assert run() == ["21.0", "3", "21.0"]
    assert run() == ["21.0", "0", "21.0"]
    (package / "helper.py").write_text(FILES["helper.py"].replace("2.0", "3.0"))
    assert run() == ["31.0", "3", "31.0"]
    (package / "constants.py").write_text("STEP = 4.0\n")
    assert run()[::2] == ["34.0", "34.0"]


# Operations: called by address.


def doubled(inputs: Any, outputs: Any, start: int, stop: int, parameters: Any, state: Any) -> None:
    for row in range(start, stop):
        outputs[0][row] = inputs[0][row] * SCALE / parameters[0]
        state[0] += 1.0


def run(made: Operation, values: list[float], divisor: float) -> tuple[list[float], float]:
    """Call an operation as C would."""
    column, out, cells = np.array(values), np.zeros(len(values)), np.array([divisor, 0.0])
    inputs, outputs = (np.array([one.ctypes.data]) for one in (column, out))
    kinds = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p)
    function = ctypes.CFUNCTYPE(None, *kinds)(made.address)
    function(inputs.ctypes.data, outputs.ctypes.data, 1, len(values), cells.ctypes.data, cells.ctypes.data + 8)
    return out.tolist(), float(cells[1])


def test_operation_is_called_by_address_and_taken_from_the_cache(cache: Path) -> None:
    compiled, loaded = stats.compiled, stats.loaded
    assert run(Operation(doubled), [1.0, 2.0, 3.0], 4.0) == ([0.0, 1.0, 1.5], 2.0)
    assert run(Operation(doubled), [1.0, 2.0], 0.0) == ([0.0, np.inf], 1.0)  # as in C, without an error
    assert (stats.compiled, stats.loaded) == (compiled + 1, loaded + 1)
    assert run(Operation(with_globals(doubled, SCALE=8.0)), [1.0, 2.0], 4.0) == ([0.0, 4.0], 1.0)
    assert (stats.compiled, stats.loaded) == (compiled + 2, loaded + 1)


def test_operation_whose_cache_cannot_be_written_or_read_is_compiled_anew(
    cache: Path, warnings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import numba.core.caching

    Operation(doubled).load()
    for file in cache.rglob("*.nbi"):
        file.write_bytes(b"")
    assert run(Operation(doubled), [1.0, 2.0], 4.0) == ([0.0, 1.0], 1.0)
    assert len(warnings()) == 1

    def refuse(self: Any, *args: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(numba.core.caching.IndexDataCacheFile, "save", refuse)
    assert run(Operation(with_globals(doubled, SCALE=8.0)), [1.0, 2.0], 4.0) == ([0.0, 4.0], 1.0)


# A cache that cannot be used.


def test_cache_directory_that_cannot_be_made_starts_uncached_with_one_warning(cache: Path, warnings: Any) -> None:
    cache.write_text("a file is in the way")
    assert cache_directory() is None
    assert [Kernel(function, "f8(f8, f8)")(1.0, 2.0) for function in (add, add)] == [3.0, 3.0]
    (said,) = warnings()
    assert str(cache) in said
    assert "STRATD_CACHE_DIR" in said


def test_cache_directory_read_only_starts_uncached_with_one_warning(
    cache: Path, warnings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, *args: Any, **kwargs: Any) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Path, "mkdir", refuse)
    assert Kernel(add, "f8(f8, f8)")(1.0, 2.0) == 3.0
    assert Kernel(total, "f8(ro f8[:])")(np.ones(3)) == 3.0
    assert len(warnings()) == 1
    assert "Read-only file system" in warnings()[0]


def test_cache_directory_of_a_user_without_home_starts_uncached(
    cache: Path, tmp_path: Path, warnings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("STRATD_CACHE_DIR", "CACHE_DIRECTORY", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    made: list[Path] = []

    def refuse(path: Path, *args: Any, **kwargs: Any) -> None:
        made.append(path)
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)
    assert Kernel(add, "f8(f8, f8)")(1.0, 2.0) == 3.0
    assert len(warnings()) == 1
    assert made
    assert made[0].is_absolute()
    assert list(tmp_path.glob("~")) == []


def test_cache_directory_on_a_full_disk_starts_uncached_with_one_warning(
    cache: Path, warnings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", refuse)
    assert cache_directory() is None
    assert Kernel(add, "f8(f8, f8)")(1.0, 2.0) == 3.0
    assert len(warnings()) == 1


def test_load_disk_that_fills_up_while_kernels_are_saved_warns_once(
    cache: Path, warnings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import numba.core.caching

    def refuse(self: Any, *args: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(numba.core.caching.IndexDataCacheFile, "save", refuse)
    assert Kernel(add, "f8(f8, f8)")(1.0, 2.0) == 3.0
    assert Kernel(total, "f8(ro f8[:])")(np.ones(3)) == 3.0
    assert len(warnings()) == 1
    assert "No space left" in warnings()[0]


@pytest.mark.parametrize("ending", ["nbi", "nbc"])
@pytest.mark.parametrize("content", [b"", b"\0" * 64])
def test_load_cache_file_that_a_power_cut_has_emptied_compiles_anew(
    cache: Path, warnings: Any, ending: str, content: bytes
) -> None:
    Kernel(add, "f8(f8, f8)").load()
    files = list(cache.rglob(f"*.{ending}"))
    assert files
    for file in files:
        file.write_bytes(content)
    compiled = stats.compiled
    assert Kernel(add, "f8(f8, f8)")(1.0, 2.0) == 3.0
    assert stats.compiled == compiled + 1
    assert len(warnings()) == 1


# Signatures.


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("f8(f8[:], i8)", nb.float64(nb.float64[::1], nb.int64)),
        (" void ( ro f4[:,:] , u1 ) ", nb.void(nb.Array(nb.float32, 2, "C", readonly=True), nb.uint8)),
        ("b1(ro i4[:, :, :])", nb.boolean(nb.Array(nb.int32, 3, "C", readonly=True))),
        ("u8()", nb.uint64()),
        ("void(\n i8,\n i8[:,:,:,:]\n)", nb.void(nb.int64, nb.Array(nb.int64, 4, "C"))),
    ],
)
def test_parse_signature_gives_numbas_types(text: str, expected: Any) -> None:
    assert module.parse_signature(text) == expected


@pytest.mark.parametrize(
    "text", ["f8", "f9(i8)", "f8(i8", "f8(i8,,i8)", "f8(i8,)", "f8(ro i8)", "f8(i8 [:] ro)", "(i8)", "f8(i8[2])", ""]
)
def test_parse_signature_that_is_none_says_so(text: str) -> None:
    with pytest.raises(KernelError, match="signature"):
        module.parse_signature(text)


def test_load_ro_takes_read_only_and_writable_memory(cache: Path) -> None:
    values = np.arange(4.0)
    frozen = values.copy()
    frozen.flags.writeable = False
    kernel = Kernel(total, "f8(ro f8[:])").load()
    assert kernel(values) == kernel(frozen) == 6.0


@pytest.mark.parametrize("argument", [np.arange(8.0)[::2], np.arange(4), np.ones((2, 2)), 1.0, None])
def test_call_with_other_types_is_an_error_and_compiles_nothing(cache: Path, argument: Any) -> None:
    kernel = Kernel(total, "f8(ro f8[:])").load()
    with pytest.raises(TypeError):
        kernel(argument)
    assert len(kernel.signatures) == 1  # type: ignore[attr-defined]


def test_call_read_only_memory_where_it_is_to_be_written_is_an_error(cache: Path) -> None:
    frozen = np.zeros(3)
    frozen.flags.writeable = False
    with pytest.raises(TypeError):
        Kernel(total, "f8(f8[:])").load()(frozen)


def test_load_what_does_not_compile_names_the_kernel(cache: Path) -> None:
    def wrong(x: float) -> Any:
        return x.nothing_of_the_kind  # type: ignore[attr-defined]

    with pytest.raises(KernelError, match=r"test_kernel\.wrong does not compile"):
        Kernel(wrong, "f8(f8)").load()


# Counting.


def test_load_after_activation_is_counted(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    late = stats.sealed_compilations
    Kernel(add, "f8(f8, f8)").load()
    assert stats.sealed_compilations == late
    monkeypatch.setattr(stats, "sealed", True)
    Kernel(add, "f8(f8, f8)").load()  # from the cache: nothing is compiled
    assert stats.sealed_compilations == late
    Kernel(add, "f8(f8, i8)").load()
    assert stats.sealed_compilations == late + 1


def test_load_by_many_threads_builds_once(cache: Path) -> None:
    target = Kernel(add, "f8(f8, f8)")
    compiled = stats.compiled
    found: list[Any] = []
    threads = [threading.Thread(target=lambda: found.append(target.load())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(found) == 8
    assert len(set(map(id, found))) == 1
    assert stats.compiled == compiled + 1


def test_all_kernels_have_a_signature_of_as_many_types_as_arguments() -> None:
    import stratd.data.derivation
    import stratd.data.gate
    import stratd.strategy.thread_metrics  # noqa: F401

    kernels = {kernel.function.__name__: kernel for kernel in all_kernels()}
    assert {"take_in", "select", "mix", "mark_last", "observe", "find_phase"} <= set(kernels)
    for kernel in kernels.values():
        if isinstance(kernel, Operation):
            assert kernel.function.__code__.co_varnames[:6] == ("inputs", "outputs", "start", "stop", "parameters", "state")
            continue
        assert len(module.parse_signature(kernel.signature).args) == kernel.function.__code__.co_argcount, kernel.function

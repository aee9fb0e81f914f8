from __future__ import annotations

import copy
import ctypes
import math
import os
import pickle
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest

import stratd
from stratd.core.kernel import kernel
from stratd.core.kernel import stats as kernel_stats
from stratd.errors import IndicatorError, KernelError
from stratd.indicators.base import On
from stratd.indicators.catalogue.deviation import Bollinger
from stratd.indicators.catalogue.ema import EMA
from stratd.indicators.catalogue.sma import SMA
from stratd.indicators.computation import Computation
from stratd.indicators.user import CompiledIndicator, PythonIndicator, PythonRun, checked_inputs, compiled_indicator
from stratd.indicators.user_code import FAILED, STATE
from stratd.testing.indicators import made_up_bars

BARS = made_up_bars(600, 3)
SHORT = {name: np.arange(1.0, 7.0) for name in ("open", "high", "low", "close", "volume")}
DOUBLE = 2.0


@kernel("f8(f8)", ieee=True)
def doubled(x: float) -> float:
    return x * DOUBLE


def tripled(x: float) -> float:
    return doubled(x) + x


def tripled_and_one(x: float) -> float:
    return tripled(x) + 1.0


def endless(x: float) -> float:
    return endless(x - 1.0) if x > 0.0 else 0.0


def written_plainly(cells: Any, at: float) -> float:
    cells[int(at)] = 7.0
    return 0.0


written_by_numba = numba.njit(written_plainly)
written_by_typed_numba = numba.njit("f8(f8[:], f8)")(written_plainly)
written_by_threads = numba.njit(parallel=True)(written_plainly)
written_by_kernel = kernel("f8(f8[:], f8)")(written_plainly)
MODULE = types.ModuleType("helpers")
MODULE.inner = types.ModuleType("helpers.inner")  # type: ignore[attr-defined]
MODULE.inner.written = written_by_numba
MODULE.inner.written_plainly = written_plainly


@kernel("f8(f8[:], f8)")
def written_by_a_kernels_kernel(cells: Any, at: float) -> float:
    return float(written_by_kernel(cells, at))


@compiled_indicator(state=1)
def running_sum(close, state, start=0.0):  # type: ignore[no-untyped-def]
    state[0] += close
    return state[0] + start


@compiled_indicator(window="period", outputs=("highest", "lowest"))
def channel(high, low, period=3):  # type: ignore[no-untyped-def]
    return high.max(), low.min()


@compiled_indicator(inputs={"fast": EMA(3), "slow": EMA(8)})
def gap(fast, slow, scale):  # type: ignore[no-untyped-def]
    return (fast - slow) * scale


@compiled_indicator(window=2)
def out_of_range(close):  # type: ignore[no-untyped-def]
    return close[5] if close[1] == 4.0 else close[0]


@compiled_indicator()
def helped(close):  # type: ignore[no-untyped-def]
    return tripled_and_one(close) + doubled(close)


def values(spec: Any, bars: Any = SHORT, **options: Any) -> list[float]:
    found: list[float] = next(iter(spec.compute(bars, **options).values())).tolist()
    return found


def made(function: Callable[..., Any], **options: Any) -> Any:
    return compiled_indicator(**options)(function)


# Compiled: what the function is given.


def test_compiled_is_called_for_each_row_with_its_state_and_parameters() -> None:
    assert values(running_sum()) == [1, 3, 6, 10, 15, 21]
    assert values(running_sum(10)) == values(running_sum(start=10.0)) == [11, 13, 16, 20, 25, 31]


def test_compiled_window_is_given_the_last_rows_once_there_are_so_many() -> None:
    found = channel().compute(BARS, blocks=[1, 2, 3, 50])
    windows = np.lib.stride_tricks.sliding_window_view
    np.testing.assert_array_equal(found["highest"], [math.nan] * 2 + windows(BARS["high"], 3).max(axis=1).tolist())
    np.testing.assert_array_equal(found["lowest"], [math.nan] * 2 + windows(BARS["low"], 3).min(axis=1).tolist())
    assert (channel(9).warmup, channel(9).reach) == (9, 8)


def test_compiled_declared_inputs_are_those_indicators() -> None:
    fast, slow = (EMA(period).compute(BARS)["value"] for period in (3, 8))
    spec = gap(scale=2.0)
    np.testing.assert_array_equal(spec.compute(BARS)["value"], (fast - slow) * 2.0)
    assert spec.warmup == 8


def test_compiled_of_replaces_inputs_in_the_order_of_the_arguments() -> None:
    np.testing.assert_array_equal(gap(1.0).of("high", "low").compute(BARS)["value"], BARS["high"] - BARS["low"])
    assert values(running_sum().of(SMA(2))) == pytest.approx([math.nan, 1.5, 4, 7.5, 12, 17.5], nan_ok=True)
    with pytest.raises(IndicatorError, match=r"gap has 2 sources \(fast, slow\), 1 were given"):
        gap(1.0).of("high")
    with pytest.raises(ValueError, match="did you mean 'high'"):
        gap(1.0).of("hihg", "low")


def test_compiled_can_be_the_source_of_others() -> None:
    assert values(SMA(2).of(running_sum())) == pytest.approx([math.nan, 2, 4.5, 8, 12.5, 18], nan_ok=True)
    assert values(SMA(2).of(channel(2).output("lowest")))[2:] == [1.5, 2.5, 3.5, 4.5]


def test_compiled_calls_kernels_and_plain_functions() -> None:
    assert values(helped()) == [5 * close + 1 for close in range(1, 7)]


# Compiled: warm-up, NaN, exceptions.


@pytest.mark.parametrize(
    ("warmup", "rows"),
    [(None, 1), (3, 3), ("period", 4), (lambda period: int(period) + 1, 5)],
    ids=["none", "3", "name", "function"],
)
def test_compiled_values_before_the_warmup_are_not_shown(warmup: Any, rows: int) -> None:
    def passed(close, period):  # type: ignore[no-untyped-def]
        return close

    spec = made(passed, warmup=warmup)(4)
    assert spec.warmup == rows
    assert values(spec, blocks=[2]) == pytest.approx([math.nan] * (rows - 1) + list(range(rows, 7)), nan_ok=True)


def test_compiled_is_not_called_for_bad_rows() -> None:
    bars = {"close": np.array([1.0, math.nan, 2.0, math.inf, 3.0])}
    assert values(running_sum(), bars) == pytest.approx([1, math.nan, 3, math.nan, 6], nan_ok=True)


def test_compiled_window_has_no_bad_rows() -> None:
    def newest(close):  # type: ignore[no-untyped-def]
        return close[-1]

    bars = {"close": np.array([1.0, 2, 3, math.nan, 5, 6, 7])}
    expected = [math.nan, 2, 3, math.nan, math.nan, 6, 7]
    for blocks in ([], range(7)):
        assert values(made(newest, window=2)(), bars, blocks=blocks) == pytest.approx(expected, nan_ok=True)


def test_compiled_without_skipping_sees_bad_rows() -> None:
    def is_bad(close):  # type: ignore[no-untyped-def]
        return math.isnan(close)

    assert values(made(is_bad, skip_bad_rows=False)(), {"close": np.array([1.0, math.nan, 2.0])}) == [0, 1, 0]


def test_compiled_infinite_values_are_nan() -> None:
    def inverse(close):  # type: ignore[no-untyped-def]
        return 1.0 / (close - 2.0)

    assert values(made(inverse)()) == pytest.approx([-1, math.nan, 1, 1 / 2, 1 / 3, 1 / 4], nan_ok=True)


@pytest.mark.parametrize("blocks", [[], [1, 2, 3, 4, 5], [4]], ids=str)
def test_compiled_that_raises_ends_and_says_where(blocks: list[int], capfd: pytest.CaptureFixture[str]) -> None:
    spec = out_of_range()
    computation = Computation(spec, SHORT)
    for stop in (*blocks, 6):
        computation.advance(stop)
    assert computation.values["value"].tolist() == pytest.approx([math.nan, 1, 2] + [math.nan] * 3, nan_ok=True)
    assert computation.failed == {"out_of_range": 4}
    state = computation.save().states[0]
    assert (spec.failed(state), spec.failed_row(state)) == (True, 4)
    assert not spec.failed(np.zeros(spec.state_size))
    assert capfd.readouterr().err == ""
    with pytest.raises(IndicatorError, match="out_of_range raised an exception at row 4"):
        spec.compute(SHORT)


def test_compiled_exception_of_the_author_ends_it_too() -> None:
    def refuses(close):  # type: ignore[no-untyped-def]
        if close > 2.0:
            raise ValueError("no")
        return close

    computation = Computation(made(refuses)(), SHORT)
    computation.advance(6)
    assert computation.failed == {"refuses": 3}


def plain_write(close, state, at=0.0):  # type: ignore[no-untyped-def]
    return written_plainly(state, at) + close


def numba_write(close, state, at=0.0):  # type: ignore[no-untyped-def]
    return written_by_numba(state, at) + close


def typed_numba_write(close, state, at=0.0):  # type: ignore[no-untyped-def]
    return written_by_typed_numba(state, at) + close


def threads_write(close, state, at=0.0):  # type: ignore[no-untyped-def]
    return written_by_threads(state, at) + close


def kernel_write(close, state, at=0.0):  # type: ignore[no-untyped-def]
    return written_by_kernel(state, at) + close


def kernels_kernel_write(close, state, at=0.0):  # type: ignore[no-untyped-def]
    return written_by_a_kernels_kernel(state, at) + close


def module_write(close, state, at=0.0):  # type: ignore[no-untyped-def]
    return MODULE.inner.written(state, at) + close


def plain_module_write(close, state, at=0.0):  # type: ignore[no-untyped-def]
    return MODULE.inner.written_plainly(state, at) + close


@pytest.mark.parametrize(
    "function",
    [
        plain_write, numba_write, typed_numba_write, threads_write, kernel_write, kernels_kernel_write, module_write,
        plain_module_write,
    ],
    ids=lambda one: one.__name__,
)  # fmt: skip
def test_compiled_helper_that_writes_out_of_range_ends_it_and_writes_nowhere(function: Callable[..., Any]) -> None:
    spec = made(function, state=1)(at=40)
    cells = np.full(64, 9.0)
    cells[: 1 + STATE] = 0.0
    close, out, parameters = SHORT["close"], np.zeros(6), np.array([1.0, 1.0, 40.0])
    columns = [(ctypes.c_void_p * 1)(array.ctypes.data) for array in (close, out)]
    call = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 2, *[ctypes.c_int64] * 2, *[ctypes.c_void_p] * 2)(spec.operation.address)
    call(*columns, 0, 6, parameters.ctypes.data, cells.ctypes.data)
    assert cells[1 + FAILED] == 1
    assert (cells[1 + STATE :] == 9.0).all()
    with pytest.raises(IndicatorError, match=f"{function.__name__}.40. raised an exception at row 1"):
        spec.compute(SHORT)
    assert values(made(function, state=1)()) == SHORT["close"].tolist()


# Compiled: what it is.


def test_compiled_equal_parameters_are_equal_and_hash_alike() -> None:
    assert running_sum(3) == running_sum(start=3.0) == copy.deepcopy(running_sum(3))
    assert hash(running_sum(3)) == hash(running_sum(start=3.0))
    assert len({running_sum(), running_sum(1), running_sum().of("high"), channel(), channel(4)}) == 5
    loaded = pickle.loads(pickle.dumps(channel(4)))  # noqa: S301
    assert isinstance(loaded, CompiledIndicator)
    assert loaded == channel(4)


def test_compiled_of_another_body_is_another() -> None:
    def first() -> Any:
        def average(close):  # type: ignore[no-untyped-def]
            return close

        return made(average)()

    def second() -> Any:
        def average(close):  # type: ignore[no-untyped-def]
            return close + 1.0

        average.__qualname__ = first_name
        return made(average)()

    first_name = first().kind.__qualname__
    assert first() == first()
    assert first() != second()
    assert hash(first()) != hash(second())


def test_compiled_options_make_it_another() -> None:
    def passed(close):  # type: ignore[no-untyped-def]
        return close

    assert made(passed)() == made(passed)()
    assert len({made(passed)(), made(passed, warmup=2)(), made(passed, skip_bad_rows=False)()}) == 3


def constants_of(factor: float) -> types.ModuleType:
    outer, inner = types.ModuleType("outer"), types.ModuleType("outer.inner")
    inner.FACTOR, outer.inner = factor, inner  # type: ignore[attr-defined]
    return outer


def with_globals(**space: Any) -> Callable[[str], Any]:
    """Makes an indicator `typed` of an expression that uses these."""

    def make(expression: str) -> Any:
        names = {**space}
        exec(f"def typed(close):\n    return {expression}\n", names)
        return made(names["typed"])()

    return make


@pytest.mark.parametrize(
    ("expression", "one", "other"),
    [
        ("close * m.inner.FACTOR", {"m": constants_of(1.0)}, {"m": constants_of(2.0)}),
        ("close * t[1][0][1500]", {"t": (1, (np.arange(3000.0),))}, {"t": (1, (np.arange(3000.0) * np.where(np.arange(3000) == 1500, 2, 1),))}),
        ("close * f(close)", {"f": math.floor}, {"f": math.ceil}),
        ("close * f(close)", {"f": numba.njit(tripled)}, {"f": numba.njit(fastmath=True)(tripled)}),
    ],
    ids=["nested module", "array in a tuple", "another function of math", "options of numba"],
)  # fmt: skip
def test_compiled_that_uses_something_else_is_another(expression: str, one: dict[str, Any], other: dict[str, Any]) -> None:
    assert with_globals(**one)(expression) == with_globals(**one)(expression)
    assert with_globals(**one)(expression) != with_globals(**other)(expression)


def test_compiled_helpers_of_the_same_code_with_other_constants_are_told_apart() -> None:
    def pair(second: float) -> Any:
        spaces: list[dict[str, Any]] = [{"FACTOR": 1.0}, {"FACTOR": second}]
        for space in spaces:
            exec("def scale(x):\n    return x * FACTOR\n", space)
        return with_globals(a=spaces[0]["scale"], b=spaces[1]["scale"])("a(b(close))")

    assert pair(2.0) == pair(2.0)
    assert pair(2.0) != pair(3.0)
    assert values(pair(2.0)) == [2, 4, 6, 8, 10, 12]


class Constants:
    FACTOR = 2.0


@pytest.mark.parametrize(
    ("expression", "value", "message"),
    [
        ("thing['a']", {"a": 1.0}, "typed uses thing, an object of the class builtins.dict"),
        ("thing.FACTOR", Constants, "typed uses thing, the class .*Constants"),
        ("thing(close)", numba.vectorize(tripled), "typed uses thing, an object of the class"),
        ("helper(thing)", constants_of(1.0), "typed uses thing, the module outer, as a value"),
        ("thing.inner", constants_of(1.0), "typed uses thing.inner, the module outer.inner, as a value"),
        ("thing[0]", (Constants(),), "typed uses thing, an object of the class .*Constants"),
    ],
)
def test_compiled_global_that_cannot_be_described_is_refused(expression: str, value: Any, message: str) -> None:
    with pytest.raises(KernelError, match=f"<string>:1: {message}"):
        hash(with_globals(thing=value)(expression))
    with pytest.raises(KernelError, match=message):
        with_globals(thing=value)(expression).compute(SHORT)


def test_compiled_attribute_that_is_named_like_a_global_is_not_that_global() -> None:
    assert values(with_globals(math=math, floor={}, typed_in=None)("math.floor(close)")) == [1, 2, 3, 4, 5, 6]


def test_compiled_warmup_function_may_use_anything() -> None:
    rows = {"typed": 3}
    spec = made(one_input, warmup=lambda: rows["typed"])()
    assert spec.warmup == 3
    assert spec == copy.deepcopy(spec)


def test_compiled_label_says_parameters_and_other_sources() -> None:
    assert str(gap(2)) == "gap(2)"
    assert gap(2).of("high", SMA(3)).label == "gap(2, high, SMA(3))"
    assert out_of_range().label == "out_of_range"


def test_compiled_equal_ones_are_one_column() -> None:
    spec = gap(1.0).of(running_sum(), running_sum(0))
    assert len(Computation(spec, BARS)._nodes()) == 2


def test_compiled_is_compiled_when_it_is_first_used() -> None:
    def unused(close):  # type: ignore[no-untyped-def]
        return close * 17.0

    before = kernel_stats.compiled + kernel_stats.loaded
    spec = made(unused)()
    assert (spec.warmup, spec.label) == (1, "unused")
    assert kernel_stats.compiled + kernel_stats.loaded == before
    spec.compute(SHORT)
    assert kernel_stats.compiled + kernel_stats.loaded > before


# Compiled: errors.


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: gap(), "gap needs a value for scale"),
        (lambda: gap(1, 2), "gap has the parameters scale; 2 were given"),
        (lambda: gap(scal=1), "'scal' is not one of scale; did you mean 'scale'"),
        (lambda: gap(1, scale=1), "'scale' is given twice"),
        (lambda: gap(math.nan), "scale is a number, not nan"),
        (lambda: gap("a"), "scale is a number, not 'a'"),
        (lambda: channel(2.5), "window of channel is a whole number of bars, 1 or more, not 2.5"),
        (lambda: channel(0), "window of channel is a whole number of bars, 1 or more, not 0"),
    ],
)
def test_compiled_wrong_parameter_is_refused(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def one_input(close):  # type: ignore[no-untyped-def]
    return close


def no_input(period=3):  # type: ignore[no-untyped-def]
    return period


def any_input(*close):  # type: ignore[no-untyped-def]
    return close


def with_state(close, state):  # type: ignore[no-untyped-def]
    return state[0]


@pytest.mark.parametrize(
    ("function", "options", "message"),
    [
        (no_input, {}, "has no input"),
        (any_input, {}, "write each one by its name"),
        (with_state, {}, "has an argument `state`, but state=0"),
        (one_input, {"state": 2}, "has no argument `state`, but state=2"),
        (one_input, {"window": "period"}, "has no parameter 'period'"),
        (one_input, {"inputs": {"clos": "high"}}, "no argument 'clos'; did you mean 'close'"),
        (one_input, {"outputs": ("a", "a")}, "outputs are different names"),
        (one_input, {"outputs": ()}, "outputs are different names"),
        (len, {}, "is a function, not <built-in"),
    ],
)
def test_compiled_function_that_cannot_be_one_is_refused(function: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(IndicatorError, match=message) as caught:
        made(function, **options)
    assert function is len or f"{__file__}:{function.__code__.co_firstlineno}: {function.__name__}" in str(caught.value)


def test_compiled_function_that_uses_the_one_around_it_is_refused() -> None:
    factor = float(len(SHORT))

    def scaled(close):  # type: ignore[no-untyped-def]
        return close * factor

    with pytest.raises(IndicatorError, match="scaled uses factor of the function around it"):
        made(scaled)


def text(close):  # type: ignore[no-untyped-def]
    return "a"


def nothing(close):  # type: ignore[no-untyped-def]
    if close > 1.0:
        return close


def unknown(close):  # type: ignore[no-untyped-def]
    return not_there(close)  # type: ignore[name-defined]  # noqa: F821


def of_numpy(close):  # type: ignore[no-untyped-def]
    return np.no_such_function(close)  # type: ignore[attr-defined]


def writes(close):  # type: ignore[no-untyped-def]
    close[0] = 1.0
    return 1.0


def three(close):  # type: ignore[no-untyped-def]
    return close, close, close


@pytest.mark.parametrize(
    ("function", "options"),
    [(text, {}), (nothing, {}), (unknown, {}), (of_numpy, {}), (writes, {"window": 2}), (three, {"outputs": ("a", "b")})],
    ids=lambda one: getattr(one, "__name__", ""),
)
def test_compiled_function_that_does_not_compile_names_file_and_line(
    function: Any, options: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(KernelError) as caught:
        made(function, **options)().compute(SHORT)
    assert f"{__file__}:{function.__code__.co_firstlineno}: the indicator {function.__name__}" in str(caught.value)
    assert not caplog.records  # the cache is not to blame


def test_compiled_helper_that_calls_itself_is_refused() -> None:
    def calls_endless(close):  # type: ignore[no-untyped-def]
        return endless(close)

    with pytest.raises(KernelError, match="endless is called by itself"):
        made(calls_endless)().compute(SHORT)


# Compiled: the cache.

FILES = {
    "outer/__init__.py": "from . import inner\n",
    "outer/inner.py": """
from numba import njit
FACTOR = 2.0
@njit
def more(x):
    return x + 1.0
""",
    "deep.py": """
import outer
from stratd.core import kernel as module
from stratd.indicators.user import compiled_indicator
@compiled_indicator()
def deep(close):
    return outer.inner.more(close * outer.inner.FACTOR)
print(*deep().compute({"close": [1.5, 10.0]})["value"], module.stats.compiled, module.stats.loaded > 0)
""",
    "constants.py": "STEP = 1.0\n",
    "plain.py": """
import math
import constants
def plain(x):
    return math.floor(x) * constants.STEP
""",
    "marked.py": """
from stratd.core.kernel import kernel
@kernel("f8(f8)", ieee=True)
def marked(x):
    return x * 2.0
""",
    "mine.py": """
from marked import marked
from plain import plain
from stratd.core import kernel as module
from stratd.indicators.user import compiled_indicator
@compiled_indicator(window=2)
def mine(close, more=0.0):
    return plain(close[0]) + marked(close[1]) + more
print(*mine().compute({"close": [1.5, 10.0]})["value"], module.stats.compiled, module.stats.loaded > 0)
""",
}


class Project:
    """Files of a user's, and runs of one of them in processes of their own, which share a cache."""

    def __init__(self, path: Path) -> None:
        self.path = path
        for name, code in FILES.items():
            (path / name).parent.mkdir(exist_ok=True)
            (path / name).write_text(code)

    def run(self, module: str) -> tuple[float, int]:
        package = Path(stratd.__file__).parent.parent
        environment = {
            **os.environ, "PYTHONPATH": f"{self.path}{os.pathsep}{package}", "STRATD_CACHE_DIR": str(self.path / "cache"),
        }  # fmt: skip
        command = [sys.executable, "-B", "-c", f"import {module}"]
        result = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=60)
        _, value, compiled, _ = result.stdout.split()
        return float(value), int(compiled)

    def edit(self, name: str, old: str, new: str) -> None:
        (self.path / name).write_text((self.path / name).read_text().replace(old, new))


def test_compiled_edited_helper_or_constant_in_another_file_is_never_served_from_an_old_cache(tmp_path: Path) -> None:
    project = Project(tmp_path)
    assert project.run("mine")[0] == 1.0 + 20.0
    assert project.run("mine") == (1.0 + 20.0, 0)
    project.edit("plain.py", "floor", "ceil")  # nothing but a name
    assert project.run("mine")[0] == 2.0 + 20.0
    project.edit("constants.py", "1.0", "4.0")
    project.edit("marked.py", "2.0", "3.0")
    assert project.run("mine")[0] == 8.0 + 30.0


def test_compiled_edited_constant_or_helper_two_modules_deep_is_never_served_from_an_old_cache(tmp_path: Path) -> None:
    project = Project(tmp_path)
    assert project.run("deep")[0] == 10.0 * 2.0 + 1.0
    assert project.run("deep") == (10.0 * 2.0 + 1.0, 0)
    project.edit("outer/inner.py", "2.0", "5.0")
    assert project.run("deep")[0] == 10.0 * 5.0 + 1.0
    project.edit("outer/inner.py", "x + 1.0", "x + 3.0")
    assert project.run("deep")[0] == 10.0 * 5.0 + 3.0


def test_compiled_function_without_a_file_runs_uncached() -> None:
    space: dict[str, Any] = {"compiled_indicator": compiled_indicator}
    exec("@compiled_indicator()\ndef typed_in(close):\n    return close + 1.0\n", space)
    assert values(space["typed_in"]()) == [2, 3, 4, 5, 6, 7]


# Plain Python.


class Streak(PythonIndicator):
    def __init__(self, least: float = 0.0) -> None:
        self.least = least
        self.length = 0
        self.last = math.nan

    def update(self, close: float) -> float:
        if close == self.least:
            raise ZeroDivisionError(f"at {close:g}")
        self.length = self.length + 1 if close > self.last else 0
        self.last = close
        return self.length


class Pair(PythonIndicator):
    inputs = (SMA(3), "high")
    outputs = ("mean", "high")
    warmup = 2

    def update(self, mean: float, high: float) -> tuple[float, float]:
        return mean, high


def test_python_is_called_for_each_row_in_order() -> None:
    assert values(Streak(), blocks=[1, 4]) == [0, 1, 2, 3, 4, 5]


def test_python_inputs_and_outputs_are_as_declared() -> None:
    found = Pair().compute(SHORT, blocks=[3])
    assert found["mean"].tolist() == pytest.approx([math.nan] * 3 + [3, 4, 5], nan_ok=True)
    assert found["high"].tolist() == pytest.approx([math.nan] * 3 + [4, 5, 6], nan_ok=True)


def test_python_warmup_and_reach_include_those_of_inputs() -> None:
    assert (Pair().warmup, Pair().own_warmup, Pair().reach) == (4, 2, SMA(3).reach)
    assert (Streak().warmup, Streak().reach) == (1, 0)

    class Late(PythonIndicator):
        def __init__(self, period: int) -> None:
            self.warmup = period

        def update(self, close: float) -> float:
            return close

    assert Late(7).warmup == 7
    assert values(Late(4)) == pytest.approx([math.nan] * 3 + [4, 5, 6], nan_ok=True)
    with pytest.raises(ValueError, match="warmup of Late is a whole number"):
        Late(0)


def test_python_warmup_that_is_none_is_refused_when_the_class_is_made() -> None:
    with pytest.raises(ValueError, match="warmup of Wrong is a whole number of bars, 1 or more, not -1"):

        class Wrong(PythonIndicator):
            warmup = -1


def test_python_each_computation_has_an_instance_of_its_own() -> None:
    spec = Streak()
    assert values(spec) == values(spec)
    assert (spec.length, math.isnan(spec.last)) == (0, True)
    assert spec.new_instance() is not spec


def test_python_is_not_called_for_bad_rows() -> None:
    bars = {"close": np.array([math.nan, 1.0, math.inf, 2.0])}
    assert values(Streak(), bars) == pytest.approx([math.nan, 0, math.nan, 1], nan_ok=True)

    class Sees(Streak):
        skip_bad_rows = False

        def update(self, close: float) -> float:
            return 0.0 if math.isfinite(close) else 1.0

    assert values(Sees(), bars) == [1, 0, 1, 0]


@pytest.mark.parametrize("returned", [None, math.inf, math.nan])
def test_python_none_and_infinity_are_nan(returned: float | None) -> None:
    class Returns(PythonIndicator):
        def update(self, close: float) -> float | None:
            return returned

    assert np.isnan(values(Returns())).all()


def test_python_run_exception_is_raised_at_the_next_read_once_and_it_goes_on() -> None:
    run = PythonRun(Streak(least=3.0))
    out = np.full(6, 7.0)
    run.advance([SHORT["close"]], [out], 0, 2)
    run.raise_pending()
    run.advance([SHORT["close"]], [out], 2, 5)
    assert out.tolist() == pytest.approx([0, 1, math.nan, 2, 3, 7], nan_ok=True)
    assert run.errors == 1
    with pytest.raises(ZeroDivisionError, match="at 3"):
        run.raise_pending()
    run.raise_pending()
    run.advance([SHORT["close"]], [out], 5, 6)
    assert out[5] == 4
    assert run.errors == 1


@pytest.mark.parametrize("returned", [(1.0,), (1.0, 2.0, 3.0), 1.0, "ab"])
def test_python_run_wrong_number_of_outputs_is_an_error_of_the_row(returned: Any) -> None:
    class Returns(Pair):
        def update(self, mean: float, high: float) -> Any:
            return returned

    with pytest.raises(TypeError, match=r"Returns\.update has the outputs \('mean', 'high'\), it returned"):
        Returns().compute(SHORT)


def test_python_run_value_that_is_no_number_is_an_error_of_the_row() -> None:
    class Returns(PythonIndicator):
        def update(self, close: float) -> Any:
            return "abc"

    with pytest.raises(ValueError, match="could not convert"):
        Returns().compute(SHORT)


def test_python_of_is_a_copy_with_other_inputs() -> None:
    spec = Pair()
    other = spec.of("close", "low")
    assert (spec.inputs, other.inputs) == ((SMA(3), "high"), ("close", "low"))
    assert other.warmup == 2
    assert str(other) == "Pair(close, low)"
    with pytest.raises(IndicatorError, match="Pair has 2 sources, 1 were given"):
        spec.of("close")
    with pytest.raises(ValueError, match="source is an indicator, or one of"):
        spec.of("close", "price")


def test_python_inputs_that_are_none_are_refused() -> None:
    class Wrong(Streak):
        inputs = ("closing",)

    with pytest.raises(ValueError, match="did you mean 'close'"):
        PythonRun(Wrong())


def test_python_label_says_its_arguments() -> None:
    assert (Streak().label, str(Streak(2)), repr(Streak(least=2))) == ("Streak", "Streak(2)", "Streak(least=2)")


def test_python_two_are_never_the_same() -> None:
    assert Streak() != Streak()
    assert len({Streak(), Streak()}) == 2


def test_python_cannot_be_the_source_of_others() -> None:
    with pytest.raises(IndicatorError, match="nothing can be computed from it"):
        SMA(3).of(Streak()).compute(SHORT)


@pytest.mark.parametrize(
    "source",
    [Streak(), Pair().output("high"), On(Streak(), "SPY"), SMA(3).of(Streak()), running_sum().of(SMA(2).of(Streak())), Bollinger().of(Streak()).output("upper")],
    ids=str,
)  # fmt: skip
def test_python_of_what_is_made_of_plain_python_is_refused(source: Any) -> None:
    with pytest.raises(
        IndicatorError, match="Streak has the input .*, which is in plain Python: nothing can be computed from it"
    ):
        Streak().of(source)
    spec = Streak()
    spec.inputs = (source,)
    for check in (spec.check_inputs, lambda: checked_inputs(spec), lambda: PythonRun(spec)):
        with pytest.raises(IndicatorError, match="in plain Python"):
            check()


def test_python_checked_inputs_are_its_inputs() -> None:
    assert checked_inputs(Pair()) == (SMA(3), "high")
    Pair().of(On("close", "SPY"), Bollinger().output("upper")).check_inputs()


def test_python_cannot_be_saved() -> None:
    with pytest.raises(IndicatorError, match="Streak is in plain Python"):
        Computation(Streak(), SHORT).save()

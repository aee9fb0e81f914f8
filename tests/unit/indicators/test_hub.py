from __future__ import annotations

import gc
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stratd.core.kernel import operation
from stratd.errors import IndicatorError, StrategySetupError
from stratd.indicators.base import Composite, Indicator, On, Primitive, Source, StreamInfo, set_checked
from stratd.indicators.catalogue.ema import EMA
from stratd.indicators.catalogue.macd import MACD
from stratd.indicators.catalogue.sma import SMA
from stratd.indicators.handle import IndicatorHandle
from stratd.indicators.hub import IndicatorHub
from stratd.indicators.node import IndicatorStats
from stratd.indicators.python_part import PythonPart
from stratd.indicators.store import ColumnStore

from ...support.tight import tight_memory  # noqa: F401 - a fixture for all tests here
from .test_handle import HISTORY, Player, Reader, same

SPECS: list[Indicator] = [SMA(3), SMA(5), EMA(4), SMA(3).of(EMA(4)), EMA(2).of(SMA(3)), EMA(4, "high")]


def prices(rows: int, seed: int = 1) -> list[float]:
    return (np.random.default_rng(seed).integers(1, 4000, rows) / 100).tolist()


def stats(hub: IndicatorHub) -> dict[str, IndicatorStats]:
    return {one.label: one for one in hub.stats()}


def nodes(hub: IndicatorHub) -> int:
    return sum(one.columns for one in hub.stats())


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32), rows=st.integers(5, 120))
def test_hub_any_order_of_requests_and_releases_gives_the_same_bits(seed: int, rows: int) -> None:
    random = np.random.default_rng(seed)
    closes = prices(rows, seed)
    player = Player(closes)
    readers = [player.reader() for _ in range(3)]
    held: list[tuple[Reader, IndicatorHandle, Indicator, int]] = []
    for reader in readers:
        for number in random.integers(0, len(SPECS), 3):
            held.append((reader, reader.ask(SPECS[number], name=f"h{len(held)}"), SPECS[number], 0))
        reader.begin()
    names = len(held)
    done = 0
    while done < rows:
        done = min(rows, done + int(random.integers(1, 9)))
        player.write(done - player.written)
        for reader in readers:
            reader.window(done)
            reader.cursor(done)
        for _ in range(int(random.integers(0, 3))):
            if held and random.random() < 0.5:
                reader, handle, _, _ = held.pop(int(random.integers(0, len(held))))
                reader.context.release(handle)
                assert math.isnan(handle.value)
            else:
                reader, spec = readers[int(random.integers(0, 3))], SPECS[int(random.integers(0, len(SPECS)))]
                options = {"lazy": bool(random.integers(0, 2)), "private": bool(random.integers(0, 2)), "name": f"h{names}"}
                held.append((reader, reader.ask(spec, **options), spec, max(0, done - HISTORY)))
                names += 1
        for _, handle, spec, origin in held:
            column = np.array(closes[origin:done])
            expected = spec.compute({"close": column, "high": column}, tick=0.01)["value"]
            shown = handle.values
            np.testing.assert_array_equal(shown[-len(expected) :], expected[-len(shown) :])
            assert same(handle.value, expected[-1])
    for reader, handle, _, _ in held:
        reader.context.release(handle)
    assert nodes(player.hub) == 0


def test_hub_shares_parts_between_strategies_and_indicators() -> None:
    player = Player(prices(300), history=60)
    readers = [player.reader() for _ in range(4)]
    for reader in readers:
        reader.ask(MACD(12, 26, 9))
    readers[0].ask(EMA(12))
    readers[1].ask(EMA(26), lazy=True)
    for reader in readers:
        reader.begin()
    player.write(200)
    # EMA(12), EMA(26), their difference, its EMA, the histogram: once for all.
    assert nodes(player.hub) == 5
    found = stats(player.hub)
    assert found["EMA(12)"].users == 5  # four MACDs, and one that wants it alone
    assert found["EMA(12)"].computed == 200
    assert found["EMA(12)"].saved == 4 * 200
    assert found["EMA(12)"].bytes == 8 * (200 - int(player.data.frame.base[0, 0]))
    assert found["EMA(12)"].interval == "1m"
    assert sum(one.seconds for one in found.values()) >= 0.0


def test_hub_frees_what_nobody_uses_and_begins_anew_when_asked_again() -> None:
    closes = prices(400)
    player = Player(closes)
    one, two = player.reader(), player.reader()
    first, second = one.ask(SMA(3)), two.ask(SMA(3).of(EMA(4)))
    one.begin()
    two.begin()
    player.write(40)
    for reader in (one, two):
        reader.window(40)
        reader.cursor(40)
    assert nodes(player.hub) == 4  # ticks, SMA, EMA, SMA of EMA
    one.context.release(first)
    assert nodes(player.hub) == 2
    assert stats(player.hub)["SMA(3)"].columns == 0
    assert stats(player.hub)["SMA(3)"].computed == 40  # what has been computed is not forgotten
    with pytest.raises(StrategySetupError, match="has been released already"):
        one.context.release(first)
    again = one.ask(SMA(3))
    assert again is not first
    expected = SMA(3).compute({"close": closes[40 - HISTORY : 40]}, tick=0.01)["value"]
    np.testing.assert_array_equal(again.values, expected)
    two.context.release(second)
    one.context.release(again)
    assert nodes(player.hub) == 0
    for stop in range(45, 401, 5):
        player.write(stop - player.written)
    assert player.hub.held_bytes() == 0


def test_hub_memory_of_a_late_column_goes_with_its_release() -> None:
    player = Player(prices(100))
    reader = player.reader()
    reader.ask(SMA(4))
    reader.begin()
    reader.play(50)
    before = player.hub.held_bytes()
    gc.collect()
    open_before = len(os.listdir("/proc/self/fd"))
    for period in range(2, 8):
        for _ in range(3):
            handle = reader.ask(EMA(period))
            assert player.hub.held_bytes() > before
            reader.context.release(handle)
            assert player.hub.held_bytes() == before
    del handle
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) == open_before


def test_hub_what_a_late_request_gives_does_not_depend_on_others() -> None:
    closes = prices(90)
    alone, among = Player(closes), Player(closes)
    single, other, late = alone.reader(), among.reader(), among.reader()
    other.ask(EMA(4))
    for reader in (single, other, late):
        reader.begin()
    for player in (alone, among):
        player.write(50)
    for reader in (single, other, late):
        reader.window(50)
        reader.cursor(50)
    first, second = single.ask(EMA(4)), late.ask(EMA(4))
    for stop in (55, 60, 90):
        for player in (alone, among):
            player.write(stop - player.written)
        for reader in (single, late):
            reader.window(stop)
            reader.cursor(stop)
        np.testing.assert_array_equal(first.values, second.values)


def test_hub_request_of_a_reader_that_is_behind_is_shown_at_once() -> None:
    closes = prices(60)
    player = Player(closes, behind=8)
    reader = player.reader()
    reader.ask(SMA(2))
    reader.begin()
    player.write(20)
    reader.window(20)
    reader.cursor(20)
    for _ in range(4):  # the writer moves to new memory, the reader is still in the old
        player.write(2)
    handle, lazy, own = reader.ask(EMA(4)), reader.ask(SMA(4), lazy=True), reader.ask(EMA(3), private=True)
    for stop in range(20, 29):
        if stop > 20:
            reader.window(stop)
            reader.cursor(stop)
        for one in (handle, lazy, own):
            expected = one.indicator.compute({"close": closes[20 - HISTORY : stop]}, tick=0.01)["value"]
            assert one.value == expected[-1]
            np.testing.assert_array_equal(one.values, expected[-len(one.values) :])


def test_hub_lazy_columns_wait_until_they_are_read() -> None:
    player = Player(prices(60))
    reader = player.reader()
    lazy = reader.ask(EMA(4), lazy=True)
    reader.begin()
    reader.play(9)
    assert stats(player.hub)["EMA(4)"].computed == 0
    assert lazy.ready
    assert stats(player.hub)["EMA(4)"].computed == 9
    reader.play(10)
    eager = reader.ask(EMA(4))
    assert eager.value == lazy.value
    reader.play(11)
    assert stats(player.hub)["EMA(4)"].computed == 11  # somebody needs it with every block now
    assert eager.value == lazy.value


def test_hub_closing_a_strategys_handles_lets_go_of_everything() -> None:
    player = Player(prices(60))
    one, two = player.reader(), player.reader()
    kept, gone = two.ask(SMA(3)), one.ask(MACD(2, 3, 4))
    one.ask(SMA(3))
    one.begin()
    two.begin()
    for reader in (one, two):
        reader.play(20) if reader is one else (reader.window(20), reader.cursor(20))
    last = gone.value
    one.context.handles.close()
    one.context.handles.close()
    assert nodes(player.hub) == 2  # ticks and SMA(3)
    assert stats(player.hub)["SMA(3)"].users == 1
    assert gone.value == last  # a callback that still runs can read
    with pytest.raises(StrategySetupError, match="has been given up"):
        one.ask(EMA(9))
    two.play(30)
    assert kept.ready


@dataclass(frozen=True, slots=True)
class Endless(Composite):
    period: int

    def parts(self) -> dict[str, Indicator]:
        return {"value": SMA(self.period).of(self)}


@dataclass(frozen=True, slots=True)
class Deeper(Composite):
    period: int

    def parts(self) -> dict[str, Indicator]:
        return {"value": SMA(2).of(Deeper(self.period + 1))}


def test_hub_an_indicator_made_from_itself_is_an_error() -> None:
    player = Player([1.0])
    reader = player.reader()
    for spec in (Endless(3), Deeper(1)):
        with pytest.raises(IndicatorError, match="made from itself"):
            reader.ask(spec)


@dataclass(frozen=True, slots=True)
class Failing(PythonPart):
    source: Source = "close"
    source_fields = ("source",)

    def __post_init__(self) -> None:
        set_checked(self)

    @property
    def state_size(self) -> int:
        return 0

    def run(self, inputs, outputs, start, stop, first, number, state) -> None:  # type: ignore[no-untyped-def]
        if stop > 10:
            raise ValueError("no more")
        outputs[0][start:stop] = inputs[0][start:stop]


def test_hub_a_part_that_raises_costs_its_own_values_only() -> None:
    player = Player(prices(40), history=30)
    reader = player.reader()
    bad, after, good = reader.ask(Failing()), reader.ask(SMA(2).of(Failing())), reader.ask(SMA(3))
    reader.begin()
    for stop in range(1, 21):
        reader.play(stop)
        assert good.ready == (stop >= 3)
        assert bad.ready == (stop <= 10)
    assert math.isnan(after.value)
    assert player.hub.errors() == [("Failing on AAA 1m", "ValueError: no more")]


@operation
def two_outputs(inputs, outputs, start, stop, parameters, state):  # type: ignore[no-untyped-def]
    for row in range(start, stop):
        state[0] += 1.0
        outputs[0][row] = inputs[0][row] + parameters[0]
        outputs[1][row] = state[0]


@dataclass(frozen=True, slots=True)
class TwoOutputs(Primitive):
    outputs = ("first", "second")
    operation = two_outputs

    more: float = 1.0

    @property
    def sources(self) -> tuple[Source, ...]:
        return ("close",)

    def parameters(self, stream: StreamInfo) -> Sequence[float]:
        return (self.more,)

    @property
    def state_size(self) -> int:
        return 1


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_hub_long_blocks_of_several_outputs_are_whole(dtype: str) -> None:
    rows = 5_000  # more than is computed at a time before it is narrowed
    closes = prices(rows)
    player = Player(closes, history=rows + 10)
    reader = player.reader()
    group = reader.ask(TwoOutputs(0.25), dtype=dtype)
    reader.begin()
    reader.play(rows)
    np.testing.assert_array_equal(group.first.values, (np.array(closes) + 0.25).astype(dtype))  # type: ignore[attr-defined]
    np.testing.assert_array_equal(group.second.values, np.arange(1, rows + 1))  # type: ignore[attr-defined]
    (found,) = player.hub.stats()
    assert found.seconds > 0.0
    assert found.bytes == rows * 2 * (4 if dtype == "float32" else 8)


def test_hub_other_symbols_late_request_begins_where_the_reader_can_see() -> None:
    closes = prices(80)
    player = Player(closes, symbols=("AAA", "BBB"))
    reader = player.reader()
    reader.begin()
    reader.play(50)
    handle = reader.ask(EMA(3).of(On(EMA(4), "AAA")), "BBB")
    reader.play(60)
    inner = EMA(4).compute({"close": closes[50 - HISTORY : 60]})["value"]
    expected = EMA(3).compute({"close": inner})["value"]
    np.testing.assert_array_equal(handle.values, expected[-HISTORY:])


def test_hub_with_many_removed_parts_goes_on() -> None:
    closes = prices(200)
    player = Player(closes)
    reader = player.reader()
    kept = reader.ask(EMA(5).of(SMA(3)))
    reader.begin()
    reader.play(20)
    for period in range(2, 102):
        reader.context.release(reader.ask(EMA(period % 11 + 2).of("high")))
    for stop in range(25, 201, 5):
        reader.play(stop)
    expected = EMA(5).of(SMA(3)).compute({"close": closes}, tick=0.01)["value"]
    np.testing.assert_array_equal(kept.values, expected[-HISTORY:])


class Broken(OSError):
    """Stands for a system that has no more memory or descriptors to give."""


@pytest.mark.parametrize("asked", [MACD(2, 3, 4), SMA(3).of(EMA(5)), TwoOutputs()])
@pytest.mark.parametrize("fails_at", range(1, 6))
@pytest.mark.parametrize("lazy", [False, True])
def test_hub_request_that_fails_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, asked: Indicator, fails_at: int, lazy: bool
) -> None:
    closes = prices(60)
    player = Player(closes, history=40)
    one, two = player.reader(), player.reader()
    kept = two.ask(EMA(4))
    one.begin()
    two.begin()
    player.write(30)
    for reader in (one, two):
        reader.window(30)
        reader.cursor(30)
    before, held = stats(player.hub)["EMA(4)"], player.hub.held_bytes()
    calls = 0
    whole = ColumnStore.add

    def add(self: ColumnStore, kind: int, interval: int, slot: int) -> None:
        nonlocal calls
        calls += 1
        if calls == fails_at:
            raise Broken(24, "Too many open files")
        whole(self, kind, interval, slot)

    with monkeypatch.context() as patched:
        patched.setattr(ColumnStore, "add", add)
        if calls_of(asked) < fails_at:
            one.context.release(one.ask(asked, lazy=lazy))
        else:
            with pytest.raises(IndicatorError, match="Too many open files.*ulimit -n"):
                one.ask(asked, lazy=lazy)
    assert (nodes(player.hub), player.hub.held_bytes()) == (1, held)
    assert stats(player.hub)["EMA(4)"] == before
    # Somebody else gets right values of the same; so does who was refused, when he asks again.
    for reader in (two, one):
        handle = reader.ask(asked)
        expected = asked.compute({"close": closes[:30]}, tick=0.01)[asked.outputs[0]]
        shown = handle.values if isinstance(handle, IndicatorHandle) else handle.outputs[asked.outputs[0]].values
        np.testing.assert_array_equal(shown, expected)
    player.write(10)
    two.window(40)
    two.cursor(40)
    assert kept.value == EMA(4).compute({"close": closes[:40]})["value"][-1]


def calls_of(indicator: Indicator) -> int:
    """How many columns a request makes."""
    player = Player(prices(5))
    reader = player.reader()
    reader.ask(indicator)
    reader.begin()
    return nodes(player.hub)


def test_hub_many_late_columns_take_few_descriptors() -> None:
    player = Player(prices(100))
    reader = player.reader()
    reader.ask(SMA(4))
    reader.begin()
    reader.play(50)
    gc.collect()
    before = len(os.listdir("/proc/self/fd"))
    handles = [reader.ask(EMA(period, "high")) for period in range(1, 400)]
    assert len(os.listdir("/proc/self/fd")) - before < 30
    for handle in handles:
        expected = EMA(handle.indicator.period).compute({"close": player.closes[38:50]})["value"]  # type: ignore[attr-defined]
        np.testing.assert_array_equal(handle.values, expected)


def test_hub_strategy_that_is_given_up_while_it_asks_gets_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    player = Player(prices(40))
    one, two = player.reader(), player.reader()
    two.ask(SMA(3))
    one.begin()
    two.begin()
    one.play(20)
    request = IndicatorHub.request

    def slow(self: IndicatorHub, *args: object, **options: object) -> object:
        one.context.handles.close()  # the gate has lost its patience meanwhile
        return request(self, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(IndicatorHub, "request", slow)
    with pytest.raises(StrategySetupError, match="has been given up"):
        one.ask(EMA(9))
    assert stats(player.hub)["EMA(9)"].columns == 0


def test_hub_counts_as_saved_only_what_others_would_have_computed() -> None:
    player = Player(prices(60), history=50)
    one, two = player.reader(), player.reader()
    one.ask(MACD(2, 3, 4))
    one.begin()
    two.begin()
    player.write(30)
    assert sum(figures.saved for figures in player.hub.stats()) == 0
    for reader in (one, two):
        reader.window(30)
        reader.cursor(30)
    two.ask(MACD(2, 3, 4), name="m")
    player.write(10)
    assert {figures.users for figures in player.hub.stats()} == {2}
    assert sum(figures.saved for figures in player.hub.stats()) == 5 * 10


def test_hub_figures_of_thousands_of_labels_that_are_gone_are_kept_together() -> None:
    player = Player(prices(40))
    reader = player.reader()
    reader.begin()
    reader.play(20)
    for period in range(1, 1_200):
        reader.context.release(reader.ask(EMA(2, skip=period)))
    found = stats(player.hub)
    assert len(found) <= 1_001
    assert found["(others)"].columns == 0
    assert sum(one.computed for one in found.values()) == 1_199 * HISTORY


def test_hub_lazy_columns_that_come_and_go_leave_nothing() -> None:
    player = Player(prices(4_000))
    reader = player.reader()
    reader.begin()
    for stop in range(20, 4_000, 20):
        reader.play(stop)
        for period in range(2, 6):
            handle = reader.ask(EMA(period), lazy=True)
            assert handle.value > 0.0
            reader.context.release(handle)
    engine = player.hub._engine
    assert engine._lazy_program is None or engine._lazy_program.length < 300
    assert player.hub.held_bytes() < 40 * 8 * 200


def test_handle_names_of_outputs_collide_like_names() -> None:
    player = Player(prices(10))
    reader = player.reader()
    reader.ask(MACD(2, 3, 4), name="m")
    with pytest.raises(StrategySetupError, match=r"another indicator named 'm\.signal'"):
        reader.ask(SMA(3), name="m.signal")
    reader.ask(SMA(3), name="s.signal")
    with pytest.raises(StrategySetupError, match=r"another indicator named 's\.signal'"):
        reader.ask(MACD(2, 3, 5), name="s")


def test_hub_says_once_that_a_computation_has_failed_and_remembers_it(caplog: pytest.LogCaptureFixture) -> None:
    player = Player(prices(40), history=30)
    reader = player.reader()
    bad = reader.ask(Failing())
    reader.begin()
    for stop in range(5, 41, 5):
        reader.play(stop)
    reader.context.release(bad)
    said = [record.getMessage() for record in caplog.records if record.name == "stratd.indicators"]
    assert said == ["indicator Failing on AAA 1m has no values any more: its computation raised ValueError: no more"]
    assert player.hub.errors() == [("Failing on AAA 1m", "ValueError: no more")]


def test_hub_time_of_rare_rows_and_of_functions_that_are_not_ours_is_counted() -> None:
    player = Player(prices(2_000), history=30)
    reader = player.reader()
    reader.ask(EMA(3))
    reader.ask(Slow())
    reader.begin()
    for _ in range(1_000):
        # A stream that has a row in every second block only.
        player.hub._engine.program.advance()
        player.write(2)
    found = stats(player.hub)
    assert found["EMA(3)"].seconds > 0.0
    assert found["Slow"].seconds > found["EMA(3)"].seconds


@dataclass(frozen=True, slots=True)
class Slow(PythonPart):
    source: Source = "close"
    source_fields = ("source",)

    @property
    def state_size(self) -> int:
        return 0

    def run(self, inputs, outputs, start, stop, first, number, state) -> None:  # type: ignore[no-untyped-def]
        outputs[0][start:stop] = sum(range(2_000))

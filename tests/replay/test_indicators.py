"""Indicators in whole sessions: what a handle shows at every event is what those bars give that are visible then, whoever else runs."""

from __future__ import annotations

import csv
import gzip
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import talib
from numpy.typing import NDArray

from stratd import EMA, SMA, Strategy
from stratd.core.states import State
from stratd.errors import DataError, IndicatorError, NotSubscribed, StrategySetupError
from stratd.indicators import ATR, MACD, RSI, Bollinger, Highest, On
from stratd.indicators.base import Composite, Indicator
from stratd.indicators.catalogue.listing import CATALOGUE
from stratd.indicators.user import PythonIndicator
from stratd.strategy.context import StrategyContext
from stratd.strategy.manager import audit_hash
from stratd.strategy.plugin import discover_strategies
from stratd.strategy.signals import SignalRecord
from stratd.strategy.thread import StrategyThread, ThreadPolicy
from stratd.system.config import load_session
from stratd.system.manager import SystemManager
from stratd.system.result import RunOptions
from stratd.testing.bars import BarRow, nanoseconds
from tests.support.array_feed import ArrayFeed
from tests.support.holders import SPECS, BarHolder, Holder, Want, ask_nonsense, outputs_of, same
from tests.support.paths import repo_root
from tests.support.replays import entry, play, session
from tests.support.row_feed import MINUTE_NS, RowFeed
from tests.support.spine import Spine, market
from tests.support.tight import tight_memory  # noqa: F401 - a fixture for all tests here
from tests.support.visible import World, close_enough, ta, walk

SYMBOLS = ("BBB", "AAA", "CCC")  # so that BBB is earlier than AAA, and CCC later
INTERVALS = ("1m", "5m", "15m")
HISTORY = 30
WINDOWS = (1, 2, 64, 4096)
BLOCKS = (1, 3, 4096)
SIZES = [(window, block) for window in WINDOWS for block in BLOCKS]
START = nanoseconds("2024-01-02T21:38")  # goes over midnight, where sessions around the clock begin and end
ROWS = walk(1, SYMBOLS, START, 240, hole=(120, 139))
STREAMS = (("*", "1m"), ("AAA", "5m"), ("CCC", "15m"))
WATCHED = (("BBB", "5m"), ("CCC", "5m"), ("AAA", "15m"))

# Something of every kind, on streams that are notified and on watched ones.
PLAIN = tuple(
    Want(spec=spec, symbol=symbol, interval=interval)
    for spec, symbol, interval in [
        *((name, "AAA", "1m") for name in ("sma", "ema", "rsi", "atr", "wma", "std", "highest", "obv", "vwap", "boll", "macd")),
        *((name, "AAA", "5m") for name in ("sma", "ema", "vwap")),
        *((name, "BBB", "1m") for name in ("ema", "rsi")),
        *((name, "CCC", "1m") for name in ("sma", "obv")),
        *((name, "BBB", "5m") for name in ("sma", "atr")),
        *((name, "CCC", "15m") for name in ("sma", "ema")),
        ("ema", "AAA", "15m"),
        ("sma of rsi", "AAA", "1m"),
        ("ema of typical", "BBB", "1m"),
    ]
)
CROSSED = tuple(
    Want(spec=spec, symbol=symbol, interval=interval)
    for spec, symbol, interval in [
        ("close BBB", "AAA", "1m"),
        ("close CCC", "AAA", "1m"),
        ("close CCC", "BBB", "5m"),
        ("close BBB", "AAA", "5m"),
        ("close 5m", "AAA", "1m"),
        ("close BBB 5m", "AAA", "1m"),
        ("close CCC 15m", "AAA", "5m"),
        ("close CCC 15m", "BBB", "1m"),
        ("close CCC 1m", "AAA", "5m"),
        ("close BBB 1m", "AAA", "5m"),
        ("close AAA 1m", "CCC", "15m"),
        ("ema BBB 5m", "AAA", "1m"),
        ("rsi CCC", "AAA", "1m"),
        ("ema of rsi CCC", "AAA", "1m"),
        ("correlation BBB", "AAA", "1m"),
        ("correlation CCC", "AAA", "1m"),
        ("close CCC by BBB", "AAA", "1m"),
        ("close CCC by BBB", "CCC", "1m"),
    ]
)
WORLD = World(ROWS, SYMBOLS, (1, 5, 15))
Kind = type[Strategy[Any]]
Part = tuple[Kind, dict[str, Any], int]  # a strategy, its parameters, and how many errors it survives


def perform(
    rows: Sequence[BarRow], cast: Mapping[str, Part], window: int = 4096, block: int = 4096, history: int = HISTORY
) -> Spine:
    """Play rows to strategies, by name."""
    spine = Spine(market(SYMBOLS, INTERVALS, history, tick=0.25), window=window, block=block)
    for name, (kind, params, errors) in cast.items():
        # What one of a strategy's class needs to know of the session: for those that look at the hub.
        made = type(kind.__name__, (kind,), {"hub": spine.hub, "__module__": kind.__module__})
        spine.thread(made, name, ThreadPolicy(max_errors=errors, keep_signals=True), **params)
    spine.run(rows)
    return spine


def holder(spine: Spine, name: str = "holder") -> Any:
    return thread(spine, name).strategy


def thread(spine: Spine, name: str = "holder") -> StrategyThread:
    return next(one for one in spine.threads if one.name == name)


def holding(wants: Sequence[Want], kind: Kind = Holder, errors: int = 0, **params: Any) -> Part:
    return kind, {"streams": STREAMS, "watched": WATCHED, "wants": tuple(wants)} | params, errors


def sound(spine: Spine, name: str = "holder") -> Any:
    """The strategy, which has run to the end without an error, and whose handles did nothing that they must not do."""
    found = thread(spine, name)
    assert (found.errors, found.last_error, found.state) == (0, None, State.STOPPED)
    strategy = found.strategy
    assert strategy.wrong == []
    for what, kept, copied in strategy.kept:
        np.testing.assert_array_equal(kept, copied, err_msg=f"a kept array of {what} has changed")
    return strategy


def bits(strategy: Any) -> list[tuple[Any, ...]]:
    """All of what a strategy has read, to the last bit."""
    return [event.bits for event in strategy.seen]


def differences(
    strategy: Any, wants: Sequence[Want], world: World = WORLD, history: int = HISTORY, least: int = 100
) -> list[str]:
    """Where readings are not what an independent computation on the rows visible at their event gives. At least so many are right."""
    wrong, right = [], 0
    keys = [world.key(event.what, event.now, event.symbol, event.minutes, strategy.subscribed) for event in strategy.seen]
    asked = {want: world.key(*at, strategy.subscribed) for want, at in strategy.asked.items() if at is not None}
    for event, key in zip(strategy.seen, keys, strict=True):
        for want in wants:
            if event.call < want.at or 0 <= want.until <= event.call:
                continue
            stream = (want.symbol, want.interval)
            if event.what == "slice" and want.interval == f"{event.minutes}m" and stream not in strategy.subscribed:
                continue  # The text does not say whether a slice is before or after a watched stream of its interval.
            begins = {}
            if want.at:
                begins = {other: max(0, world.visible(other, asked[want]) - history) for other in world.streams}
            begin, stop = begins.get(stream, 0), world.visible(stream, key)
            for output, column in world.values(want.spec, stream, begin, stop, begins).items():
                reading = event.readings[want.key, output]
                expected = np.concatenate([np.full(begin, np.nan), column])[max(0, stop - history) :]
                newest = expected[-1] if stop else math.nan
                precision = 1e-9 if want.dtype == "float64" else 6e-8
                well = close_enough(reading.values, expected, precision)
                well = well and close_enough(np.array(reading.value), np.array(newest), precision)
                well = well and reading.ready == (not math.isnan(newest))
                right += well and reading.ready
                if not well:
                    wrong.append(
                        f"{event[:5]} {want.key} {output}: {reading.value} after {reading.values[-4:-1]}, not {expected[-4:]}"
                    )
    assert wrong or right >= least
    return wrong


# --- values --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def in_one_go() -> Spine:
    """The session that others are compared with, as one block and one window."""
    return perform(ROWS, {"holder": holding(PLAIN + CROSSED)})


def test_handle_at_every_event_shows_what_the_visible_bars_give(in_one_go: Spine) -> None:
    strategy = sound(in_one_go)
    events = [event.what for event in strategy.seen]
    assert (events.count("bars") > 500, events.count("slice") > 200, events.count("open"), events.count("close")) == (1, 1, 2, 1)
    assert differences(strategy, PLAIN) == []


def test_input_of_another_stream_is_what_was_visible_at_each_row(in_one_go: Spine) -> None:
    assert differences(sound(in_one_go), CROSSED) == []


@pytest.mark.parametrize(("window", "block"), SIZES)
def test_handle_shows_the_same_bits_at_every_window_and_block_size(window: int, block: int, in_one_go: Spine) -> None:
    spine = perform(ROWS, {"holder": holding(PLAIN + CROSSED)}, window, block)
    if window * block <= 64 * 3:
        assert spine.data.compactions > 1
    assert bits(sound(spine)) == bits(sound(in_one_go))
    assert audit_hash(spine.threads[0]) == audit_hash(in_one_go.threads[0])


FEW = [(1, 1), (64, 3), (4096, 4096)]
at_few_sizes = pytest.mark.parametrize(("window", "block"), FEW)


class Reader(BarHolder):
    """On 1m bars of AAA, reads the newest values of what it wants."""

    def note(self, what: str, symbol: str, minutes: int) -> None:
        if (symbol, minutes) == ("AAA", 1):
            super().note(what, symbol, minutes)


def read(rows: Sequence[BarRow], wants: Sequence[Want], window: int, block: int) -> dict[str, list[float]]:
    """The newest values at each 1m bar of AAA, by specification."""
    strategy = sound(perform(rows, {"holder": holding(wants, Reader)}, window, block))
    return {want.spec: [event.readings[want.key, "value"].value for event in strategy.seen] for want in wants}


def numbered(missing: Mapping[str, Sequence[int]], minutes: int) -> list[BarRow]:
    """From 12:00 on, BBB's closes are 100, 101, ..., AAA's 200, 201, ..., CCC's 300, 301, ...: by minute."""
    start = nanoseconds("2024-01-02T12:00")
    return [
        BarRow(symbol, start + at * MINUTE_NS, *[100.0 * hundred + at] * 4, 1.0)
        for at in range(minutes)
        for hundred, symbol in enumerate(SYMBOLS, 1)
        if at not in missing.get(symbol, ())
    ]


NAN = math.nan


@at_few_sizes
def test_slower_interval_read_from_a_faster_one_is_the_value_of_its_last_closed_bar(window: int, block: int) -> None:
    """The 5m bar that closes at 12:05 is not there at the 1m bar that closes then, but at the next."""
    rows = numbered({"AAA": (3, 9), "BBB": (9,), "CCC": (9,)}, 13)
    wants = [Want(spec="highest", interval="1m"), Want(spec="close BBB", interval="5m"), Want(spec="obv", interval="5m")]
    shown = read(rows, wants, window, block)
    # Minutes                          0    1    2    4    5    6    7    8   10   11   12
    np.testing.assert_array_equal(shown["close BBB"], [NAN, NAN, NAN, NAN, 104, 104, 104, 104, 108, 108, 108])
    np.testing.assert_array_equal(shown["obv"], [NAN, NAN, NAN, NAN, 4, 4, 4, 4, 8, 8, 8])


@at_few_sizes
def test_input_of_another_symbol_is_of_the_same_minute_only_if_it_stands_earlier_in_the_order(window: int, block: int) -> None:
    rows = numbered({"BBB": (1,), "CCC": (2,), "AAA": (3,)}, 7)
    shown = read(rows, [Want(spec="close BBB"), Want(spec="close CCC"), Want(spec="close CCC by BBB")], window, block)
    # Minutes                                              0    1    2    4    5    6
    np.testing.assert_array_equal(shown["close BBB"], [100, 100, 102, 104, 105, 106])
    np.testing.assert_array_equal(shown["close CCC"], [NAN, 300, 301, 303, 304, 305])
    np.testing.assert_array_equal(shown["close CCC by BBB"], [NAN, NAN, 301, 303, 304, 305])


@at_few_sizes
def test_input_of_another_interval_that_closes_at_the_same_time_is_visible_only_if_it_is_shorter(window: int, block: int) -> None:
    rows = numbered({"AAA": (3,), "CCC": (9,)}, 12)
    wants = [Want(spec="close 5m"), Want(spec="close BBB 5m"), Want(spec="close CCC 1m", interval="5m")]
    wants += [Want(spec="close CCC", interval="5m"), Want(spec="close BBB", interval="5m")]
    shown = read(rows, wants, window, block)
    # Minutes                                                0    1    2    4    5    6    7    8    9   10   11
    np.testing.assert_array_equal(shown["close 5m"], [NAN, NAN, NAN, NAN, 204, 204, 204, 204, 204, 209, 209])
    np.testing.assert_array_equal(shown["close BBB 5m"], [NAN, NAN, NAN, NAN, 104, 104, 104, 104, 104, 109, 109])
    np.testing.assert_array_equal(shown["close CCC 1m"], [NAN, NAN, NAN, NAN, 304, 304, 304, 304, 304, 308, 308])
    np.testing.assert_array_equal(shown["close BBB"], [NAN, NAN, NAN, NAN, 104, 104, 104, 104, 104, 109, 109])
    np.testing.assert_array_equal(shown["close CCC"], [NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, 304, 304])


def test_snapshot_at_every_event_holds_the_newest_value_of_every_handle_by_name() -> None:
    class Snapper(BarHolder):
        def note(self, what: str, symbol: str, minutes: int) -> None:
            super().note(what, symbol, minutes)
            shown = self.ctx.snapshot()
            read = self.seen[-1].readings
            expected = {
                ("mine", "AAA", "1m"): read[self.params.wants[0].key, "value"].value,
                ("EMA(4)", "AAA", "5m"): read[self.params.wants[1].key, "value"].value,
                ("mine", "BBB", "1m"): read[self.params.wants[2].key, "value"].value,
            }
            if shown.keys() != expected.keys() or not all(same(shown[key], expected[key]) for key in shown):
                self.wrong.append(f"{shown}, not {expected}")

    wants = [Want(spec="sma", name="mine"), Want(spec="ema", interval="5m"), Want(spec="rsi", symbol="BBB", name="mine")]
    assert len(sound(perform(ROWS, {"holder": holding(wants, Snapper)}, 64, 3)).seen) > 500


@pytest.mark.parametrize("history", [9, 10, 300])
@at_few_sizes
def test_handle_shows_exactly_history_bars_values_however_memory_moves(window: int, block: int, history: int) -> None:
    wants = [want for want in PLAIN + CROSSED if want.spec in ("sma", "ema", "boll", "obv", "close CCC", "ema BBB 5m")]
    spine = perform(ROWS, {"holder": holding(wants, BarHolder, every=3)}, window, block, history)
    strategy = sound(spine)
    assert spine.data.compactions > 0
    assert differences(strategy, wants, history=history) == []
    lengths = {len(event.readings[wants[0].key, "value"].values) for event in strategy.seen}
    assert max(lengths) == min(history, len(WORLD.streams["AAA", "1m"]["close"]))


def test_handle_at_the_sessions_start_shows_nan_until_it_is_ready() -> None:
    strategy = sound(perform(ROWS, {"holder": holding([Want(spec="sma"), Want(spec="macd")], Reader)}, 1, 1))
    for number, event in enumerate(strategy.seen[:12], 1):
        shown = event.readings[Want(spec="sma").key, "value"]
        assert np.isnan(shown.values).tolist() == [True] * min(4, number) + [False] * (number - min(4, number))
        assert shown.ready == (number >= 5)
        assert [event.readings[Want(spec="macd").key, name].ready for name in ("macd", "signal")] == [number >= 6, number >= 9]


# --- late requests, and who else runs ------------------------------------------------------------------------------

LATE = tuple(
    Want(spec=spec, symbol=symbol, interval=interval, at=at, until=until, **options)  # type: ignore[arg-type]
    for spec, symbol, interval, at, until, options in [
        ("sma", "AAA", "1m", 5, -1, {}),
        ("ema", "AAA", "1m", 200, -1, {}),
        ("rsi", "AAA", "1m", 201, 420, {}),
        ("rsi", "AAA", "1m", 421, -1, {}),
        ("boll", "AAA", "1m", 300, -1, {}),
        ("macd", "AAA", "1m", 340, 600, {}),
        ("ema", "AAA", "5m", 444, -1, {}),
        ("sma", "CCC", "15m", 500, -1, {}),
        ("atr", "BBB", "5m", 333, -1, {}),
        ("vwap", "AAA", "1m", 432, -1, {}),
        ("obv", "BBB", "1m", 310, -1, {}),
        ("sma of rsi", "AAA", "1m", 350, -1, {}),
        ("close CCC", "AAA", "1m", 351, -1, {}),
        ("ema of rsi CCC", "AAA", "1m", 352, -1, {}),
        ("ema BBB 5m", "AAA", "1m", 353, -1, {}),
        ("correlation BBB", "AAA", "1m", 354, -1, {}),
        ("close CCC by BBB", "AAA", "1m", 355, -1, {}),
        ("wma", "AAA", "1m", 250, -1, {"lazy": True}),
        ("std", "AAA", "1m", 251, -1, {"private": True}),
        ("highest", "AAA", "1m", 252, -1, {"dtype": "float32"}),
    ]
)
EARLY = (Want(spec="ema3"), Want(spec="atr"), Want(spec="close BBB"), Want(spec="sma", symbol="CCC"))


@pytest.fixture(scope="module")
def late_in_one_go() -> Spine:
    return perform(ROWS, {"holder": holding(EARLY + LATE, signals=True)})


@pytest.mark.parametrize("want", LATE, ids=lambda want: want.key)
def test_late_request_begins_at_the_oldest_visible_bar_and_is_filled_at_once(late_in_one_go: Spine, want: Want) -> None:
    strategy = sound(late_in_one_go)
    assert differences(strategy, [want]) == []
    first = next(event for event in strategy.seen if event.call == want.at)
    assert (
        all(first.readings[key].ready == (want.at > 5) for key in first.readings if key[0] == want.key) or want.interval == "15m"
    )


@pytest.mark.parametrize(("window", "block"), [(1, 1), (1, 4096), (2, 3), (64, 1), (64, 3), (4096, 3)])
def test_late_requests_give_the_same_bits_and_hash_at_every_window_and_block_size(
    window: int, block: int, late_in_one_go: Spine
) -> None:
    spine = perform(ROWS, {"holder": holding(EARLY + LATE, signals=True)}, window, block)
    assert bits(sound(spine)) == bits(sound(late_in_one_go))
    assert spine.threads[0].signals.count == late_in_one_go.threads[0].signals.count > 1000
    assert audit_hash(spine.threads[0]) == audit_hash(late_in_one_go.threads[0])


def shifted(wants: Sequence[Want], by: int) -> tuple[Want, ...]:
    """The same requests so many calls later."""
    return tuple(want.model_copy(update={"at": max(1, want.at + by), "until": -1}) for want in wants if want.at)


def unscheduled(wants: Sequence[Want], until: int = -1) -> tuple[Want, ...]:
    """The same requests in setup, each once."""
    found = dict.fromkeys(want.model_copy(update={"at": 0, "until": until}) for want in wants)
    return tuple(found)


COMPANIES: dict[str, dict[str, Part]] = {
    "twin": {"twin": holding(EARLY + LATE)},
    "just before and after": {
        "before": holding(shifted(LATE, -1)[:6] + shifted(LATE, -1)[7:]),
        "after": holding(shifted([want for want in LATE if want.at != 201], 1)),
    },
    "all from the start": {"start": holding(unscheduled(EARLY + LATE))},
    "released before": {
        "first": holding(unscheduled(EARLY + LATE, until=190)),
        "second": holding(unscheduled(EARLY + LATE, until=360), BarHolder),
    },
    "quarantined": {
        "early": holding(unscheduled(EARLY + LATE), raises=150),
        "late": holding(EARLY + LATE, raises=356),
        "at once": holding(EARLY, raises=1),
    },
    "raising": {"raising": holding(EARLY + LATE, raises=3, errors=10**6)},
}
COMPANIES["everybody"] = {f"{company} {name}": part for company, cast in COMPANIES.items() for name, part in cast.items()}


@pytest.mark.parametrize(
    ("window", "block", "behind", "company"),
    [
        *((1, 3, True, company) for company in COMPANIES),
        *((4096, 4096, False, company) for company in COMPANIES),
        (64, 4096, True, "everybody"),
    ],
)
def test_strategys_values_and_hash_do_not_depend_on_who_else_runs(
    window: int, block: int, behind: bool, company: str, late_in_one_go: Spine
) -> None:
    others = {name: (kind, params | {"every": 11}, errors) for name, (kind, params, errors) in COMPANIES[company].items()}
    own = {"holder": holding(EARLY + LATE, signals=True)}
    spine = perform(ROWS, others | own if behind else own | others, window, block)
    assert bits(sound(spine)) == bits(sound(late_in_one_go))
    assert audit_hash(thread(spine)) == audit_hash(late_in_one_go.threads[0])
    for name in others:
        assert (thread(spine, name).state is State.QUARANTINED) == ("quarantined" in f"{company} {name}")
        assert thread(spine, name).strategy.wrong == []


# AAA is silent for 38 minutes while the others go on: of the rows that each can see, AAA's are far older then.
SILENCE = range(62, 100)
SILENT_ROWS = [
    BarRow(symbol, START + at * MINUTE_NS, *[100.0 * hundred + (at * (5 + hundred)) % 11] * 4, 1.0)
    for at in range(130)
    for hundred, symbol in enumerate(SYMBOLS, 1)
    if symbol != "AAA" or at not in SILENCE
]
SILENT_WORLD = World(SILENT_ROWS, SYMBOLS, (1, 5, 15))
SILENT_HISTORY = 10
LATE_INPUTS = ["close CCC", "close BBB", "rsi CCC", "ema of rsi CCC", "correlation BBB", "close CCC by BBB"]


def silent(minutes: Mapping[str, int], spec: str, window: int, block: int) -> Spine:
    """Strategies that are notified of CCC alone, and each ask for the same of AAA in the minute that is named."""
    watched = (("AAA", "1m"), ("BBB", "1m"))
    cast: dict[str, Part] = {
        name: (BarHolder, {"streams": (("CCC", "1m"),), "watched": watched, "wants": (Want(spec=spec, at=1 + minute),)}, 0)
        for name, minute in minutes.items()
    }
    return perform(SILENT_ROWS, cast, window, block, SILENT_HISTORY)


@pytest.mark.parametrize("spec", LATE_INPUTS)
@pytest.mark.parametrize("minute", [40, 66, 95])
def test_late_input_of_another_stream_begins_at_the_oldest_row_that_is_visible_there(spec: str, minute: int) -> None:
    for window, block in ((4096, 4096), (64, 3), (1, 1)):
        strategy = sound(silent({"holder": minute}, spec, window, block))
        wants = [Want(spec=spec, at=1 + minute)]
        assert differences(strategy, wants, SILENT_WORLD, SILENT_HISTORY, 20) == [], (window, block)


@pytest.mark.parametrize("spec", LATE_INPUTS)
def test_late_input_of_another_stream_is_the_same_at_every_window_and_block_size(spec: str) -> None:
    in_one_go, *others = (bits(sound(silent({"holder": 95}, spec, *sizes))) for sizes in ((4096, 4096), (64, 3), (2, 3), (1, 1)))
    for other in others:
        assert other == in_one_go


@pytest.mark.parametrize("spec", LATE_INPUTS)
@pytest.mark.parametrize("earlier", [61, 65])
def test_late_input_of_another_stream_does_not_depend_on_who_has_asked_before(spec: str, earlier: int) -> None:
    for window, block in ((4096, 4096), (1, 1)):
        alone = silent({"holder": 66}, spec, window, block)
        together = silent({"other": earlier, "holder": 66}, spec, window, block)
        assert bits(sound(together)) == bits(sound(alone)), (window, block)


# --- requests and releases, counted --------------------------------------------------------------------------------


class Accountant(BarHolder):
    """Writes down at every call how many columns and users each indicator has: `counts`, by label and interval."""

    hub: Any

    def setup(self, ctx: Any) -> None:
        self.counts: list[dict[tuple[str, str], tuple[int, int]]] = []
        self.bytes: list[int] = []
        super().setup(ctx)

    def note(self, what: str, symbol: str, minutes: int) -> None:
        super().note(what, symbol, minutes)
        self.counts.append(counts(self.hub))
        self.bytes.append(self.hub.held_bytes())


def counts(hub: Any) -> dict[tuple[str, str], tuple[int, int]]:
    """Columns and users of what is in use."""
    return {(one.label, one.interval): (one.columns, one.users) for one in hub.stats() if one.columns or one.users}


def stat(hub: Any, label: str, interval: str = "1m") -> Any:
    return next(one for one in hub.stats() if (one.label, one.interval) == (label, interval))


@at_few_sizes
def test_counts_follow_requests_releases_and_requests_anew(window: int, block: int) -> None:
    wants = [
        Want(spec="ema", until=100),
        Want(spec="ema", at=200, until=300),
        Want(spec="ema", at=400),
        Want(spec="rsi", at=150, until=350),
        Want(spec="ema", interval="5m", at=250, until=260),
        Want(spec="sma of rsi", at=310, until=500),
    ]
    spine = perform(ROWS, {"holder": holding(wants, Accountant)}, window, block)
    strategy = sound(spine)
    for call, found in enumerate(strategy.counts, 1):
        expected = {}
        for want in wants:
            if want.at <= call and not 0 <= want.until <= call:
                expected |= {("RSI(4)", "1m"): (1, 1), ("SMA(3, RSI(4))", "1m"): (1, 1)} if want.spec == "sma of rsi" else {}
                expected |= {("EMA(4)", want.interval): (1, 1)} if want.spec == "ema" else {}
                expected |= {("RSI(6)", "1m"): (1, 1)} if want.spec == "rsi" else {}
        assert found == expected, call
    assert differences(strategy, wants) == []


def test_counts_of_what_strategies_share_follow_each_of_them() -> None:
    """One step at a time, so that it is known where everybody is."""
    cast = {
        "first": holding([Want(spec="ema"), Want(spec="ema3", until=100)], Accountant),
        "second": holding([Want(spec="ema", until=200), Want(spec="ema3", at=50, until=300)], Accountant, every=2),
        "third": holding([Want(spec="ema"), Want(spec="sma"), Want(spec="macd")], BarHolder, raises=250),
    }
    spine = perform(ROWS, cast, 1, 1)
    first = sound(spine, "first")
    rows = len(WORLD.streams["AAA", "1m"]["close"])
    # The first strategy may be ahead of the others by an event, or behind: one step has up to six.
    assert first.counts[40]["EMA(4)", "1m"] == (1, 3)
    assert first.counts[190]["EMA(4)", "1m"] == (1, 3)
    assert first.counts[215]["EMA(4)", "1m"] == (1, 2)
    assert first.counts[-1] == {("EMA(4)", "1m"): (1, 1)}
    assert counts(spine.hub) == {("EMA(4)", "1m"): (1, 1)}
    shared = stat(spine.hub, "EMA(4)")
    assert shared.computed == rows
    # Each of the others saved the rows up to its end; the writer may be a minute ahead.
    ends = [WORLD.key(*sound(spine, "second").event_at[200], STREAMS), WORLD.key(*thread(spine, "third").strategy.event, STREAMS)]
    until = sum(WORLD.visible(("AAA", "1m"), end) for end in ends)
    assert until <= shared.saved <= until + 4
    assert (stat(spine.hub, "SMA(5)").columns, stat(spine.hub, "SMA(5)").bytes) == (0, 0)
    assert 0 < stat(spine.hub, "SMA(5)").computed < rows
    assert differences(first, [Want(spec="ema"), Want(spec="ema3", until=100)]) == []


@at_few_sizes
def test_quarantined_strategys_columns_go_and_those_that_others_use_stay_right(window: int, block: int) -> None:
    cast = {
        "holder": holding([Want(spec="ema"), Want(spec="macd")], Accountant),
        "breaking": holding(unscheduled(EARLY + PLAIN), raises=300),
        "late": holding(shifted([want.model_copy(update={"at": 250}) for want in PLAIN], 0), raises=280),
    }
    spine = perform(ROWS, cast, window, block)
    alone = perform(ROWS, {"holder": cast["holder"]}, window, block)
    assert counts(spine.hub) == counts(alone.hub) != {}
    assert bits(sound(spine)) == bits(sound(alone))
    assert stat(spine.hub, "EMA(4)").users == 1


@at_few_sizes
def test_macd_and_a_lone_average_share_a_column_that_outlives_either(window: int, block: int) -> None:
    wants = [Want(spec="macd", until=100), Want(spec="ema3"), Want(spec="macd", at=300)]
    strategy = sound(perform(ROWS, {"holder": holding(wants, Accountant)}, window, block))
    assert strategy.counts[50]["EMA(3)", "1m"] == (1, 2)
    assert strategy.counts[50]["EMA(6)", "1m"] == (1, 1)
    assert strategy.counts[200] == {("EMA(3)", "1m"): (1, 1)}
    assert differences(strategy, wants) == []


MOVING = [(1, 1), (64, 3)]  # sizes at which memory moves again and again
at_moving_sizes = pytest.mark.parametrize(("window", "block"), MOVING)


@at_moving_sizes
def test_memory_of_a_column_that_is_released_goes_when_rows_move_at_the_latest(window: int, block: int) -> None:
    """Released at a quarter of the session, never asked for again."""
    spine = perform(ROWS, {"holder": holding([want.model_copy(update={"until": 150}) for want in PLAIN])}, window, block)
    assert spine.data.compactions > 2
    sound(spine)
    assert counts(spine.hub) == {}
    assert spine.hub.held_bytes() == 0


@at_moving_sizes
def test_memory_of_a_quarantined_strategys_columns_goes_when_rows_move_at_the_latest(window: int, block: int) -> None:
    own = {"holder": holding([Want(spec="ema"), Want(spec="macd")])}
    spine = perform(ROWS, own | {"breaking": holding(unscheduled(PLAIN), raises=150)}, window, block)
    assert thread(spine, "breaking").state is State.QUARANTINED
    assert spine.hub.held_bytes() == perform(ROWS, own, window, block).hub.held_bytes() > 0


@at_moving_sizes
def test_memory_after_many_late_requests_and_releases_is_what_it_is_without_them(window: int, block: int) -> None:
    class Churner(Accountant):
        def note(self, what: str, symbol: str, minutes: int) -> None:
            if 100 < self.call < 200:
                asked = [self.ctx.indicator(EMA(period), "AAA", "1m") for period in range(10, 20)]
                for handle in asked:
                    self.ctx.release(handle)
            super().note(what, symbol, minutes)

    own = {"plain": holding([Want(spec="ema")], Accountant)}
    spine = perform(ROWS, own | {"churner": holding([Want(spec="ema")], Churner)}, window, block)
    assert sound(spine, "churner").counts[-1] == {("EMA(4)", "1m"): (1, 2)}
    alone = perform(ROWS, own, window, block)
    assert bits(sound(spine, "plain")) == bits(sound(alone, "plain"))
    assert spine.hub.held_bytes() == alone.hub.held_bytes() > 0


def test_asking_twice_gives_the_same_handle_that_is_released_once() -> None:
    class Twice(BarHolder):
        def note(self, what: str, symbol: str, minutes: int) -> None:
            super().note(what, symbol, minutes)
            if self.call == 50:
                self.handle = self.ctx.indicator(EMA(4), "AAA", "1m")
                assert self.ctx.indicator(EMA(4), "AAA", "1m") is self.handle
                assert counts(self.hub) == {("EMA(4)", "1m"): (1, 1)}  # type: ignore[attr-defined]
                self.ctx.release(self.handle)
                assert counts(self.hub) == {}  # type: ignore[attr-defined]
            if self.call == 60:
                self.stranger = self.ctx.indicator(EMA(4), "AAA", "1m")
                assert self.stranger is not self.handle
                self.ctx.release(self.handle)

    spine = perform(ROWS, {"holder": holding([], Twice, errors=1)}, 1, 1)
    assert thread(spine).errors == 1
    assert thread(spine).last_error is not None
    assert "StrategySetupError" in thread(spine).last_error
    assert "EMA(4)" in thread(spine).last_error
    assert "released" in thread(spine).last_error
    strategy = thread(spine).strategy
    assert math.isnan(strategy.handle.value)
    assert not math.isnan(strategy.stranger.value)


def test_handle_of_another_strategy_cannot_be_released() -> None:
    taken: list[Any] = []

    class Owner(BarHolder):
        def setup(self, ctx: Any) -> None:
            super().setup(ctx)
            taken.append(self.handles[self.params.wants[0]])

    class Thief(BarHolder):
        def note(self, what: str, symbol: str, minutes: int) -> None:
            super().note(what, symbol, minutes)
            if self.call == 20:
                self.ctx.release(taken[0])

    wants = [Want(spec="ema")]
    spine = perform(ROWS, {"owner": holding(wants, Owner), "thief": holding(wants, Thief, errors=1)}, 64, 3)
    assert (thread(spine, "thief").errors, "StrategySetupError" in str(thread(spine, "thief").last_error)) == (1, True)
    assert differences(sound(spine, "owner"), wants) == []


# --- lazy, private, float32 ----------------------------------------------------------------------------------------

KINDS = [want for want in PLAIN + CROSSED if want.spec not in ("wma", "ema of typical", "close BBB 1m", "close AAA 1m")]
VARIANTS: dict[str, dict[str, Any]] = {
    "lazy": {"lazy": True},
    "private": {"private": True},
    "lazy private": {"lazy": True, "private": True},
    "float32": {"dtype": "float32"},
    "lazy float32": {"lazy": True, "dtype": "float32"},
    "private float32": {"private": True, "dtype": "float32"},
}


def varied(options: Mapping[str, Any]) -> list[Want]:
    return [want.model_copy(update=dict(options)) for want in KINDS]


def departures(strategy: Any, plain: Any, options: Mapping[str, Any]) -> list[str]:
    """Where readings are not those of the plain handles, to the last bit, or to 24 bits where they are float32."""
    wrong = []
    for event, other in zip(strategy.seen, plain.seen, strict=True):
        for want, as_usual in zip(varied(options), KINDS, strict=True):
            for output in SPECS[want.spec].outputs:
                found, expected = event.readings[want.key, output], other.readings[as_usual.key, output]
                relative = 6e-8 if want.dtype == "float32" else 0.0
                well = np.allclose(found.values, expected.values, rtol=relative, atol=0.0, equal_nan=True)
                if not well or len(found.values) != len(expected.values) or found.ready != expected.ready:
                    wrong.append(f"{event[:5]} {want.key} {output}: {found.values[-3:]}, not {expected.values[-3:]}")
    return wrong


@pytest.mark.parametrize(("window", "block"), [(1, 3), (4096, 4096)])
@pytest.mark.parametrize("variant", VARIANTS)
def test_lazy_private_and_narrow_handles_show_at_every_event_what_plain_ones_show(variant: str, window: int, block: int) -> None:
    options = VARIANTS[variant]
    cast = {"plain": holding(KINDS, every=3), "holder": holding(varied(options), every=3)}
    spine = perform(ROWS, cast, window, block)
    assert departures(sound(spine), sound(spine, "plain"), options) == []


@pytest.mark.parametrize("spec", ["ema", "vwap", "sma of rsi", "rsi CCC", "correlation BBB", "macd", "boll"])
def test_float32_handle_shows_values_that_are_rounded_to_24_bits(spec: str) -> None:
    wants = [Want(spec=spec, dtype="float32")]
    strategy = sound(perform(ROWS, {"holder": holding(wants, BarHolder)}, 64, 3))
    found = {key: reading for event in strategy.seen for key, reading in event.readings.items() if reading.ready}
    assert {output for _, output in found} == set(SPECS[spec].outputs)
    for key, reading in found.items():
        assert (key, reading.values.dtype) == (key, np.float32)
        assert same(reading.value, float(np.float32(reading.value)))


@pytest.mark.parametrize("first", [True, False], ids=["before", "behind"])
@pytest.mark.parametrize("other", [{}, {"dtype": "float32"}, {"lazy": True}, {"at": 150}], ids=str)
def test_float32_handle_shows_the_same_whatever_others_make_of_its_column(other: dict[str, Any], first: bool) -> None:
    """EMA(3) is a part of MACD(3, 6, 4), and the average a part of the bands."""
    own = {"holder": holding([Want(spec="ema3", dtype="float32"), Want(spec="macd", dtype="float32", at=300)], signals=True)}
    others = {"other": holding([Want(spec="macd", **other), Want(spec="ema3", **other)])}
    alone, together = (perform(ROWS, cast, 64, 3) for cast in (own, own | others if first else others | own))
    assert bits(sound(together)) == bits(sound(alone))
    assert audit_hash(thread(together)) == audit_hash(thread(alone))


LONG_ROWS = walk(3, SYMBOLS, START, 2600)
LONG_WORLD = World(LONG_ROWS, SYMBOLS, (1, 5, 15))


@pytest.mark.parametrize(("window", "block"), [(2, 1), (64, 13)])
def test_handles_that_are_read_seldom_show_what_they_show_when_they_are_read_often(window: int, block: int) -> None:
    """Between two readings far more rows pass than memory holds."""
    cast = {name: holding(varied(options), every=997) for name, options in VARIANTS.items()}
    spine = perform(LONG_ROWS, cast | {"plain": holding(KINDS, every=997)}, window, block, 12)
    assert spine.data.compactions > 20
    plain = sound(spine, "plain")
    assert len(plain.seen) >= 8
    for name, options in VARIANTS.items():
        assert departures(sound(spine, name), plain, options) == [], name
    assert differences(plain, KINDS, LONG_WORLD, 12) == []
    alone = perform(LONG_ROWS, {"lazy": cast["lazy"]}, window, block, 12)
    assert bits(sound(alone, "lazy")) == bits(sound(spine, "lazy"))


# --- copy-on-write -------------------------------------------------------------------------------------------------


class Alterer(BarHolder):
    """At every 1m bar of AAA alters copies of what it sees: one value, or all. Keeps them, with what they must be."""

    def note(self, what: str, symbol: str, minutes: int) -> None:
        super().note(what, symbol, minutes)
        if (symbol, minutes) != ("AAA", 1):
            return
        handle, series = self.handles[self.params.wants[0]], self.ctx.bars("AAA", "1m")
        before, closes = handle.values.copy(), series.close.copy()
        number = min(len(before), 1 + self.call % 9)
        for column, shown in (
            (handle.copy_on_write(), before),
            (handle.copy_on_write(number), before[-number:]),
            (series.copy_on_write("close"), closes),
            (series.copy_on_write("close", number), closes[-number:]),
        ):
            if not np.array_equal(column, shown, equal_nan=True):
                self.wrong.append(f"{self.call}: a copy begins as {column}, not as {shown}")
            if self.call % 3 == 0:
                column[:] = -1.0
            else:
                column[-1] = -1.0
            if self.call % 5 == 0:
                self.kept.append((f"copy at {self.call}", column, column.copy()))
        if not np.array_equal(handle.values, before, equal_nan=True) or not np.array_equal(series.close, closes):
            self.wrong.append(f"{self.call}: what was altered in a copy is altered elsewhere")


@pytest.mark.parametrize(("window", "block"), [(1, 1), (2, 3), (64, 13), (4096, 4096)])
def test_copy_on_write_alters_nothing_for_anybody_and_is_kept_when_memory_is_used_again(window: int, block: int) -> None:
    wants = [Want(spec="ema"), Want(spec="sma of rsi"), Want(spec="std", private=True), Want(spec="obv", lazy=True)]
    wants += [Want(spec="rsi", at=300), Want(spec="boll", at=301, private=True)]
    cast = {"holder": holding(wants, BarHolder), "alterer": holding(wants, Alterer), "last": holding(wants[::-1], BarHolder)}
    spine = perform(ROWS, cast, window, block)
    altered = sound(spine, "alterer")
    assert len(altered.kept) > 150
    assert all(column[-1] == -1.0 for what, column, _ in altered.kept if what.startswith("copy"))
    for name in cast:
        assert differences(sound(spine, name), wants) == []
    if window <= 2:
        assert spine.data.compactions > 3


def test_copy_on_write_refuses_more_values_than_there_are() -> None:
    class Greedy(BarHolder):
        def note(self, what: str, symbol: str, minutes: int) -> None:
            super().note(what, symbol, minutes)
            handle, series = self.handles[self.params.wants[0]], self.ctx.bars("AAA", "1m")
            for attempt in (
                lambda: handle.copy_on_write(len(handle) + 1),
                lambda: series.copy_on_write("close", len(series) + 1),
            ):
                try:
                    attempt()
                except (IndexError, DataError):
                    continue
                self.wrong.append(f"{self.call}: {len(handle) + 1} of {len(handle)} values")

    sound(perform(ROWS, {"holder": holding([Want(spec="ema")], Greedy)}, 64, 13))


# --- the catalogue -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spec", [one.spec for one in CATALOGUE], ids=lambda spec: spec.label)
def test_indicator_of_the_catalogue_is_given_with_each_of_its_outputs_by_name(spec: Indicator) -> None:
    context = StrategyContext("one", market(SYMBOLS, INTERVALS, 60))
    context.subscribe("AAA", "1m")
    given = context.indicator(spec, "AAA", "1m", name="mine")
    for _, handle in outputs_of(given):
        assert (handle.symbol, str(handle.interval), handle.ready) == ("AAA", "1m", False)
        assert math.isnan(handle.value)
    assert given.ready is False


# --- no look-ahead -------------------------------------------------------------------------------------------------


def changed_after(rows: Sequence[BarRow], turn: int, seed: int = 9) -> list[BarRow]:
    """The same rows up to those that close at `turn`; after that other prices and volumes, and other minutes missing."""
    random = np.random.default_rng(seed)
    found = []
    for row in rows:
        if row.open_time >= turn:
            factor = float(random.choice([0.25, 0.5, 2.0, 3.0]))
            row = row._replace(
                volume=float(random.integers(0, 9999)), **{field: factor * row[at] for field, at in PRICES.items()}
            )
            if random.random() < 0.2:
                continue
        found.append(row)
    return found


PRICES = {"open": 2, "high": 3, "low": 4, "close": 5}


class Collector(BarHolder):
    """Holds one of each entry of the catalogue, on each of its streams. `shown`: at every event, all values, by output."""

    def setup(self, ctx: Any) -> None:
        super().setup(ctx)
        self.shown: list[tuple[int, list[bytes]]] = []
        everything = [one.spec.output(name) for one in CATALOGUE for name in one.spec.outputs]
        everything += [SMA(4).of(On(one.spec, "CCC")) for one in CATALOGUE[::9]]
        self.collection = [ctx.indicator(spec, *stream) for spec in everything for stream in self.subscribed]

    def note(self, what: str, symbol: str, minutes: int) -> None:
        found = [handle.values.tobytes() for handle in self.collection]
        self.shown.append((self.ctx.now, found))


@pytest.mark.parametrize(("minute", "window", "block"), [(30, 64, 3), (150, 1, 1), (171, 4096, 4096), (200, 64, 4096)])
def test_changing_the_future_changes_no_value_of_any_indicator_of_the_catalogue(minute: int, window: int, block: int) -> None:
    rows = walk(4, SYMBOLS, START, 230)
    turn = START + minute * MINUTE_NS
    streams = {"streams": [["AAA", "1m"], ["BBB", "5m"]], "watched": [["CCC", "1m"], ["CCC", "5m"]]}
    cast = {"holder": (Collector, streams, 0)}
    runs = [perform(given, cast, window, block) for given in (rows, changed_after(rows, turn))]
    one, other = (sound(run).shown for run in runs)
    before = [shown for shown in one if shown[0] <= turn]
    assert len(before) > minute // 3
    assert [shown for shown in other if shown[0] <= turn] == before
    assert one[len(before) :] != other[len(before) :]


def sample_bars() -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64], Any]:
    """The rows of the demo session: open times, symbols, prices and volumes; and the session."""
    config = load_session(repo_root() / "session_configs" / "demo.json")
    rows = []
    for number, symbol in enumerate(config.symbols):
        path = repo_root() / "session_configs" / "sample_data" / "us_equity_2019-02" / f"{symbol}.csv.gz"
        with gzip.open(path, "rt", newline="") as file:
            rows += [(nanoseconds(row[0]), number, *map(float, row[1:])) for row in list(csv.reader(file))[1:]]
    rows.sort(key=lambda row: row[:2])
    times, symbols, *prices = zip(*rows, strict=True)
    return np.array(times), np.array(symbols), np.array(prices), config


def signals_by_strategy(config: Any, feed: ArrayFeed, window: int) -> dict[str, list[SignalRecord]]:
    manager = SystemManager(config, RunOptions(window=window, signals_path="signals.csv", results_dir="."), feed=feed)
    result = manager.run()
    assert (result.error, result.deterministic, manager.session is not None) == (None, True, True)
    assert all(one.errors == 0 for one in result.strategies.values())
    assert manager.session is not None
    return {one.name: [SignalRecord(*record) for record in one.signals.kept] for one in manager.session.strategies.threads}


def test_changing_the_future_changes_no_signal_of_any_shipped_strategy() -> None:
    times, symbols, prices, config = sample_bars()
    shipped = {one.module for one in discover_strategies(repo_root()) if ".examples." in one.module}
    assert {one.module for one in config.strategies} == shipped
    as_it_was = signals_by_strategy(config, ArrayFeed(times, symbols, prices), 4096)
    random = np.random.default_rng(5)
    for at in (0.45, 0.85):
        turn = int(times[int(at * len(times))])
        after = times >= turn
        other = prices.copy()
        other[:4, after] *= np.exp(np.cumsum(random.normal(0, 5e-3, after.sum())))
        other[4, after] = random.integers(1, 10**6, after.sum())
        found = signals_by_strategy(config, ArrayFeed(times, symbols, other), 64)
        assert found.keys() == as_it_was.keys()
        for name, signals in as_it_was.items():
            before = [signal for signal in signals if signal.time <= turn]
            assert [signal for signal in found[name] if signal.time <= turn] == before, name
            assert before != [] or at < 0.5, name  # one of them buys late in the week
            assert found[name] != signals, name


# --- indicators of one's own ---------------------------------------------------------------------------------------


class Streak(PythonIndicator):
    """How many closes in a row have risen."""

    def __init__(self) -> None:
        self.length, self.last = 0, math.inf

    def update(self, close: float) -> float:  # type: ignore[override]
        self.length = self.length + 1 if close > self.last else 0
        self.last = close
        return float(self.length)


class Failing(Streak):
    def update(self, close: float) -> float:  # type: ignore[override]
        raise ZeroDivisionError(f"at {close}")


def streaks(closes: Sequence[float]) -> list[float]:
    found = [0.0]
    for before, after in pairwise(closes):
        found.append(found[-1] + 1 if after > before else 0.0)
    return found


@pytest.mark.parametrize(("window", "block"), [(1, 3), (64, 3), (4096, 4096)])
def test_python_indicator_shows_what_it_returned_and_one_that_raises_harms_its_strategy_alone(window: int, block: int) -> None:
    class Owner(BarHolder):
        def setup(self, ctx: Any) -> None:
            super().setup(ctx)
            self.own = ctx.indicator(Streak(), "AAA", "1m")
            self.late: Any = None
            self.begins = 0

        def note(self, what: str, symbol: str, minutes: int) -> None:
            super().note(what, symbol, minutes)
            if self.call == 300:
                self.late = self.ctx.indicator(Streak(), "AAA", "1m", name="late")
                self.begins = self.ctx.bars("AAA", "1m").first_held
            rows = self.ctx.bars("AAA", "1m").count
            closes = WORLD.streams["AAA", "1m"]["close"].tolist()
            for handle, begin in ((self.own, 0), (self.late, self.begins)):
                expected = [NAN] * begin + streaks(closes[begin:rows])
                if handle is not None and rows and handle.values.tolist() != expected[max(0, rows - HISTORY) : rows]:
                    self.wrong.append(f"{self.call}: {handle.values}")

    class Sufferer(BarHolder):
        def setup(self, ctx: Any) -> None:
            super().setup(ctx)
            self.own = ctx.indicator(Failing(), "AAA", "1m")

        def note(self, what: str, symbol: str, minutes: int) -> None:
            super().note(what, symbol, minutes)
            assert self.own.value != 0.0

    wants = [Want(spec="ema"), Want(spec="rsi", at=100)]
    cast = {"sufferer": holding(wants, Sufferer, errors=3), "holder": holding(wants, Owner)}
    spine = perform(ROWS, cast, window, block)
    assert differences(sound(spine), wants) == []
    assert thread(spine, "sufferer").state is State.QUARANTINED
    assert "ZeroDivisionError" in str(thread(spine, "sufferer").last_error)
    assert counts(spine.hub) == {("EMA(4)", "1m"): (1, 1), ("RSI(6)", "1m"): (1, 1)}


# --- errors --------------------------------------------------------------------------------------------------------

# What is asked for (see `ask_nonsense`), the error, and what it must say: what is wrong, and what to do.
NONSENSE: dict[str, tuple[type[Exception] | tuple[type[Exception], ...], list[str]]] = {
    "unknown symbol": (NotSubscribed, ["ZZZ 1m", "subscribe", "watch"]),
    "unknown interval": (NotSubscribed, ["AAA 7m", "subscribe", "watch"]),
    "no interval": (NotSubscribed, ["minute"]),
    "other symbol": (NotSubscribed, ["BBB 1m", "ctx.watch('BBB', '1m')"]),
    "other symbol's input": (NotSubscribed, ["BBB 1m", "ctx.watch('BBB', '1m')"]),
    "other interval's input": (NotSubscribed, ["AAA 5m", "ctx.watch('AAA', '5m')"]),
    "unknown symbol's input": (NotSubscribed, ["ZZZ 1m", "subscribe", "watch"]),
    "too far back": (StrategySetupError, ["Highest(61)", "60", "raise history_bars"]),
    "too far back by average": (StrategySetupError, ["SMA(61)", "60", "raise history_bars"]),
    "too far back inside": (StrategySetupError, ["StdDev(500)", "60", "raise history_bars"]),
    "name twice": (StrategySetupError, ["'fast'"]),
    "not an indicator": ((IndicatorError, StrategySetupError, TypeError), ["SMA", "indicator"]),
    "a dtype": ((IndicatorError, StrategySetupError, ValueError), ["float16", "float32"]),
}
START_SHORT = nanoseconds("2024-01-02T12:00")
SHORT_ROWS = walk(2, SYMBOLS, START_SHORT, 100)


def nonsense(class_name: str, what: str, **more: Any) -> Any:
    strategies = [
        entry("holders", "BarHolder", "holder", wants=[{"spec": "ema"}], signals=True),
        entry("holders", class_name, "nonsense", what=what),
    ]
    return play(session(SYMBOLS, [5], strategies, history_bars=60, **more), RowFeed(SHORT_ROWS), 64, 3)


@pytest.fixture(scope="module")
def only_sense() -> Any:
    strategies = [entry("holders", "BarHolder", "holder", wants=[{"spec": "ema"}], signals=True)]
    return play(session(SYMBOLS, [5], strategies, history_bars=60), RowFeed(SHORT_ROWS)).result


@pytest.mark.parametrize("what", NONSENSE)
def test_strategy_whose_setup_asks_for_nonsense_is_left_out_with_a_clear_error_and_others_run(what: str, only_sense: Any) -> None:
    result = nonsense("Nonsense", what, on_load_error="skip").result
    assert list(result.strategies) == ["holder"]
    assert result.strategies["holder"].audit_hash == only_sense.strategies["holder"].audit_hash
    (note,) = [note for note in result.notes if "nonsense" in note]
    for word in NONSENSE[what][1]:
        assert word in note


@pytest.mark.parametrize("what", NONSENSE)
def test_strategy_that_asks_for_nonsense_in_a_callback_gets_the_error_and_goes_on(what: str, only_sense: Any) -> None:
    played = nonsense("LateNonsense", what)
    result = played.result
    found = result.strategies["nonsense"]
    assert (found.errors, found.state) == (1, "STOPPED")
    for word in NONSENSE[what][1]:
        assert word in str(found.last_error)
    closes = np.array([row.close for row in SHORT_ROWS if row.symbol == "AAA"])
    expected = ta(talib.SMA, closes, timeperiod=3)
    np.testing.assert_allclose(played.strategies["nonsense"].values, expected, rtol=1e-9)
    assert result.strategies["holder"].audit_hash == only_sense.strategies["holder"].audit_hash


@pytest.mark.parametrize("what", NONSENSE)
def test_nonsense_raises_the_error_that_the_docs_name(what: str) -> None:
    context = StrategyContext("one", market(SYMBOLS, INTERVALS, 60))
    context.subscribe("AAA", "1m")
    with pytest.raises(NONSENSE[what][0]):
        ask_nonsense(context, what)
    assert context.handles.requests() == [] or what == "name twice"


@dataclass(frozen=True, slots=True)
class Ring(Composite):
    """Made of an average of itself."""

    @property
    def warmup(self) -> int:
        return 1

    @property
    def reach(self) -> int:
        return 0

    def parts(self) -> Mapping[str, Indicator]:
        return {"value": EMA(3).of(Ring())}


@dataclass(frozen=True, slots=True)
class PlainRing(Composite):
    """The same, with the warm-up that a Composite has of its parts."""

    def parts(self) -> Mapping[str, Indicator]:
        return {"value": EMA(3).of(PlainRing())}


@pytest.mark.parametrize("ring", [Ring(), PlainRing()], ids=["warm-up of its own", "warm-up of its parts"])
def test_cycle_is_an_indicator_error_that_names_it(ring: Indicator) -> None:
    context = StrategyContext("one", market(SYMBOLS, INTERVALS, 60))
    context.subscribe("AAA", "1m")
    with pytest.raises(IndicatorError, match=rf"made from itself: {ring.name} -> EMA\(3, {ring.name}\) -> {ring.name}"):
        context.indicator(ring, "AAA", "1m")


def test_indicator_that_looks_at_exactly_history_bars_is_given() -> None:
    """It looks back as far as `history_bars`, and no further."""
    context = StrategyContext("one", market(SYMBOLS, INTERVALS, 60))
    context.subscribe("AAA", "1m")
    for indicator in (Highest(60), SMA(60), Bollinger(60), MACD(12, 26, 60), RSI(500), ATR(500)):
        assert context.indicator(indicator, "AAA", "1m") is not None
    for indicator in (Highest(61), SMA(61), Bollinger(61)):
        with pytest.raises(StrategySetupError, match="raise history_bars"):
            context.indicator(indicator, "AAA", "1m")


def test_same_name_for_the_same_request_or_on_another_stream_is_no_error() -> None:
    context = StrategyContext("one", market(SYMBOLS, INTERVALS, 60))
    context.subscribe("*", "1m")
    first = context.indicator(SMA(4), "AAA", "1m", name="fast")
    assert context.indicator(SMA(4), "AAA", "1m", name="fast") is first
    assert context.indicator(SMA(4), "BBB", "1m", name="fast") is not first
    with pytest.raises(StrategySetupError, match="'fast'"):
        context.indicator(EMA(4), "BBB", "1m", name="fast")

"""Indicators: what a value costs in long blocks, bar by bar for many on one symbol, and bar by bar on many symbols.

    python bench/indicators.py

Everything is computed by IndicatorHub on a SessionData, as in a session, in memory that has been used before (see
player.py). The time is that of `hub.advance` alone, all parts of an indicator included; what the hub needs to take its
columns to new memory now and then is in the notes. In blocks: TA-Lib's batch function on the same bars, block by block, each
block in the cache. Bar by bar: TA-Lib's streaming handles, and nautilus_trader's Rust classes if the Python that
STRATD_BENCH_PYTHON names has them. On many symbols: a kernel that reads each symbol's close and writes it to as many columns.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from time import perf_counter
from typing import Any, Final

import comparison
import player
import support
import workloads

BATCH: Final = 2.0
BATCH_NS: Final = 10.0
LIVE_HUNDRED_US: Final = 60.0
SYMBOLS: Final = ((1_000, 10, 3.0, player.HISTORY), (10_000, 5, 5.0, 100))
"""Symbols, indicators of each, ms a minute, history. With 1,000 rows of history the larger one would need many GB."""
UPDATE_NS: Final = 80.0  # nautilus_trader's cheapest, where it is not there to be measured
READ: Final = ("value", "upper", "middle", "lower")  # what peers give: no %B, no width
KINDS: Final = ("SMA", "EMA", "RSI", "ATR", "Bollinger")


def five() -> dict[str, Any]:
    """The five indicators that peers are compared on."""
    from stratd.indicators import ATR, EMA, RSI, SMA, Bollinger

    return dict(zip(KINDS, (SMA(20), EMA(20), RSI(14), ATR(14), Bollinger(20)), strict=True))


def ten() -> list[Any]:
    """Ten indicators, twelve outputs."""
    from stratd.indicators import EMA, SMA, Highest, Momentum

    return [*five().values(), SMA(10), SMA(50), EMA(50), Highest(20), Momentum(10)]


# In blocks of 4,096.


def in_blocks(spec: Any, blocks: int, tick: float | None) -> Callable[[], support.Run]:
    """Times one indicator; `seconds` is what a bar takes, `result` what moving took for each bar."""
    made = player.Player(tick=tick)
    made.ask([spec])
    made.settle(player.BLOCK)

    def run() -> support.Run:
        moving = made.moving_seconds
        found = support.timed(lambda: made.play(blocks * player.BLOCK, player.BLOCK), float)
        rows = blocks * player.BLOCK
        return support.Run(
            found.seconds / rows, found.wall_seconds, found.cpu_seconds, (made.moving_seconds - moving) / rows
        )  # fmt: skip

    return run


def talib_blocks(kind: str, blocks: int) -> Callable[[], support.Run]:
    """The same for TA-Lib's batch function."""
    import numpy as np
    import talib

    bars = workloads.w1().columns
    fields = [np.ascontiguousarray(bars[name][0]) for name in ("high", "low", "close")]
    at = [np.empty(player.BLOCK) for _ in fields]
    high, low, close = at
    calls: dict[str, Callable[[], object]] = {
        "SMA": lambda: talib.SMA(close, 20),
        "EMA": lambda: talib.EMA(close, 20),
        "RSI": lambda: talib.RSI(close, 14),
        "ATR": lambda: talib.ATR(high, low, close, 14),
        "Bollinger": lambda: talib.BBANDS(close, 20, 2.0, 2.0),
    }
    call = calls[kind]

    def loop() -> float:
        seconds = 0.0
        for block in range(blocks):
            start = block * player.BLOCK % (workloads.W1_MINUTES - player.BLOCK)
            for target, source in zip(at, fields, strict=True):
                target[:] = source[start : start + player.BLOCK]
            begun = perf_counter()
            call()
            seconds += perf_counter() - begun
        return seconds / (blocks * player.BLOCK)

    return lambda: support.timed(loop, float)


def batch(runs: int, blocks: int) -> list[support.Claim]:
    """The claims on long blocks."""
    claims = []
    cases = [(kind, player.TICK) for kind in KINDS] + [("SMA", None), ("Bollinger", None)]
    for kind, tick in cases:
        ours, theirs = support.alternate(runs, in_blocks(five()[kind], blocks, tick), talib_blocks(kind, blocks))
        run, other = support.median(ours), support.median(theirs)
        name = f"indicators_block_{kind.lower()}" + ("" if tick else "_no_tick")
        spent: dict[str, Any] = {"wall_seconds": run.wall_seconds, "cpu_seconds": run.cpu_seconds, "runs": runs}
        moving = f"moving columns: {1e9 * support.middle(one.result for one in ours):.2f} ns/bar more"
        value, baseline = 1e9 * run.seconds, 1e9 * other.seconds
        claims += [
            support.Claim(
                claim=f"{name}_to_talib", value=value, unit="ns/bar", target=BATCH, test="ratio <=", baseline=baseline, note=moving,
                **spent,
            ),
            support.Claim(claim=f"{name}_ns", value=value, unit="ns/bar", target=BATCH_NS, baseline=baseline, **spent),
        ]  # fmt: skip
    return claims


# Bar by bar, one symbol.


def bar_by_bar(made: player.Player, bars: int) -> support.Run:
    """`seconds` is what computing a bar takes."""
    run = support.timed(lambda: made.play(bars, 1), float)
    return support.Run(run.seconds / bars, run.wall_seconds, run.cpu_seconds)


def talib_hundred(bars: int) -> Callable[[], support.Run]:
    """100 of TA-Lib's streaming handles: SMA, EMA, RSI and ATR, 25 periods each."""
    from talib import stream

    columns = {name: column[0] for name, column in workloads.w1(bars + 1000).columns.items()}
    high, low, close = (columns[name] for name in ("high", "low", "close"))
    periods = range(5, 30)
    single = (stream.SMA, stream.EMA, stream.RSI)

    def loop() -> float:
        ones = [kind(close[:1000], timeperiod=period).update for kind in single for period in periods]
        threes = [stream.ATR(high[:1000], low[:1000], close[:1000], timeperiod=period).update for period in periods]
        rows = list(zip(*(column[1000:].tolist() for column in (high, low, close)), strict=True))
        begun = perf_counter()
        for highest, lowest, last in rows:
            for update in ones:
                update(last)
            for update in threes:
                update(highest, lowest, last)
        return (perf_counter() - begun) / len(rows)

    return lambda: support.timed(loop, float)


def nautilus(minutes: int) -> dict[str, Any] | None:
    """What nautilus_trader's Rust indicators take; None where it is not installed."""
    if not comparison.installed("nautilus_trader"):
        return None
    script = str(support.BENCH / "peers" / "nautilus_indicators.py")
    run = support.command("-P", script, str(minutes), python=comparison.python())
    found: dict[str, Any] = json.loads(run.result[1].splitlines()[-1])
    return found


def hundred(runs: int, bars: int) -> support.Claim:
    """100 distinct indicators on one symbol."""
    specs = player.hundred()
    made = player.Player()
    made.ask(specs)
    made.settle(player.BLOCK)
    ours, theirs = support.alternate(runs, lambda: bar_by_bar(made, bars), talib_hundred(bars))
    run, other = support.median(ours), support.median(theirs)
    peer = nautilus(20_000)
    rust = f"; 100 of nautilus_trader's Rust classes: {peer['hundred_us']:.1f} µs" if peer else ""
    outputs = sum(len(spec.outputs) for spec in specs)
    columns = sum(one.columns for one in made.hub.stats())
    return support.Claim(
        claim="indicators_live_hundred", value=1e6 * run.seconds, unit="µs/bar", target=LIVE_HUNDRED_US,
        baseline=1e6 * other.seconds, wall_seconds=run.wall_seconds, cpu_seconds=run.cpu_seconds, runs=runs,
        note=f"{outputs} outputs, {columns} columns with parts; baseline: 100 streaming handles of TA-Lib, SMA EMA RSI ATR{rust}",
    )  # fmt: skip


def read_seconds(handle: Any, times: int) -> float:
    """What reading a value takes, in a Python loop that does nothing else."""
    rows = range(times)
    begun = perf_counter()
    for _ in rows:
        _ = handle.value
    whole = perf_counter() - begun
    begun = perf_counter()
    for _ in rows:
        pass
    return (whole - (perf_counter() - begun)) / times


def update_and_read(runs: int, bars: int) -> support.Claim:
    """The five, one bar at a time, and their values read."""
    made = player.Player()
    reader = player.Reader(made)
    for spec in five().values():
        reader.ask(spec)
    reader.begin()
    made.settle(player.BLOCK)
    reader.show(made.data.frame, made.data.count[0] - made.data.frame.base[0])

    shown = [handle for handle in reader.handles if handle.output in READ]

    def ours() -> support.Run:
        run = bar_by_bar(made, bars)
        reads = sum(read_seconds(handle, bars) for handle in shown)
        return support.Run((run.seconds + reads) / 5, run.wall_seconds, run.cpu_seconds, (run.seconds, reads))

    peers: list[float] = []

    def theirs() -> support.Run:
        found = nautilus(20_000)
        each = UPDATE_NS if found is None else sum([*found["update_ns"].values(), *found["read_ns"].values()]) / 5
        peers.append(each)
        return support.Run(each / 1e9, 0.0, 0.0, found)

    found, others = support.alternate(runs, ours, theirs)
    run, other = support.median(found), support.median(others)
    update, reads = run.result
    who = "nautilus_trader's Rust classes" if other.result else "nautilus_trader's cheapest Rust class, as measured elsewhere"
    return support.Claim(
        claim="indicators_live_update_and_read", value=1e9 * run.seconds, unit="ns", target=None, test="ratio <=",
        baseline=1e9 * other.seconds, wall_seconds=run.wall_seconds, cpu_seconds=run.cpu_seconds, runs=runs,
        note=f"a fifth of {1e9 * update:.0f} ns for a bar and {1e9 * reads:.0f} ns for reading {len(shown)} outputs; "
        f"baseline: {who}",
    )  # fmt: skip


# Bar by bar, many symbols.


def lower_bound() -> Callable[..., None]:
    """Reads each symbol's close and writes it to `each` columns."""
    import numba

    def write(closes, columns, each, row):  # type: ignore[no-untyped-def]
        for symbol in range(closes.shape[0]):
            value = closes[symbol, row]
            for column in range(symbol * each, (symbol + 1) * each):
                columns[column, row] = value

    return numba.njit("void(float64[:,::1], float64[:,::1], int64, int64)")(write)  # type: ignore[no-any-return]


def many(symbols: int, each: int, target: float, history: int, runs: int, minutes: int) -> support.Claim:
    """One bar for each of many symbols."""
    import numpy as np

    from stratd.data.session_data import Memory

    specs = ten()[:each]
    outputs = sum(len(spec.outputs) for spec in specs)
    ahead = min(player.WINDOW, 1_048_576 // symbols)  # the window that a session of so many symbols has
    made = player.Player(symbols, ahead=ahead, history=history)
    begun = perf_counter()
    made.ask(specs)
    asked = perf_counter() - begun
    moves, moving = made.data.compactions, made.moving_seconds
    made.settle(128, 3)
    moving = (made.moving_seconds - moving) / (made.data.compactions - moves)
    closes = made.data.frame.floats[0, 3]
    rows = closes.shape[1]
    memory = Memory(8 * symbols * outputs * rows)
    columns = np.frombuffer(memory.written, np.float64).reshape(symbols * outputs, rows)
    columns[:] = 0.0
    write = lower_bound()

    def bare() -> support.Run:
        last = made.rows - int(made.data.frame.base[0, 0])

        def loop() -> float:
            seconds = 0.0
            for row in range(last - minutes, last):
                made.data.frame.floats[0, :, :, row] *= 1.0  # as if the bars had just been written
                begun = perf_counter()
                write(made.data.frame.floats[0, 3], columns, outputs, row)
                seconds += perf_counter() - begun
            return seconds / minutes

        return support.timed(loop, float)

    ours, bares = support.alternate(runs, lambda: bar_by_bar(made, minutes), bare)
    if made.data.frame.floats[0, 3].shape[1] != rows:
        raise SystemExit(f"indicators: columns of {symbols} symbols have grown; the lower bound is of another layout")
    run, bound = support.median(ours), support.median(bares)
    made.hub.close()
    return support.Claim(
        claim=f"indicators_live_{symbols}_symbols_x_{each}", value=1e3 * run.seconds, unit="ms/minute", target=target,
        baseline=1e3 * bound.seconds, wall_seconds=run.wall_seconds, cpu_seconds=run.cpu_seconds, runs=runs,
        note=f"baseline writes {outputs} columns a symbol; asking for all took {asked:.1f} s; every {ahead + history + 1} minutes "
        f"or more columns are moved, {1e3 * moving:.0f} ms; history {history}",
    )  # fmt: skip


def main() -> None:
    """Measure, and print one JSON line per claim."""
    options = support.arguments(__doc__)
    support.use_this_tree()
    runs = options.runs or (1 if options.short else 7)
    support.report(batch(runs, 4 if options.short else 40))
    bars = 200 if options.short else 5_000
    support.report([hundred(runs, bars)])
    support.report([update_and_read(min(runs, 5), bars)])
    for symbols, each, target, history in SYMBOLS:
        count = symbols // 50 if options.short else symbols
        support.report([many(count, each, target, history, runs, 10)])


if __name__ == "__main__":
    main()

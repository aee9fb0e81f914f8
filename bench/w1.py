"""W1: one symbol, 525,600 minutes, 5m and 15m derived, a cross of SMA(10) and SMA(20) on 5m, signals only.

    python bench/w1.py

The engine plays an Arrow IPC file through SystemManager. The bare loop has the same bars in memory already, derives with
the same kernel in blocks of the same size, takes the same two rolling means, and calls a plain method for each 5m bar.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import support
import workloads
from peer import Cross

SIGNALS = {workloads.W1_MINUTES: 5_712, 100_000: 1_073}
"""The exact answer, by minutes, in integer cents: SMA10 > SMA20 where twice the sum of 10 is above the sum of 20."""
BARS_PER_SECOND = 4e6
TIMES_BARE = 2.5


def write_session(minutes: int) -> Path:
    """The session of W1."""
    path = support.bars_file("w1.arrow", lambda: workloads.table(workloads.w1(), 0))
    entries = support.strategies(support.MA_CROSS, 1, symbols=["W1"], interval="5m", fast_period=10, slow_period=20)
    feed = {"files": {"W1": str(path)}, "end": support.until(minutes)}
    return support.session_file(f"w1_{minutes}", ["W1"], feed, entries, derived=[5, 15])


def blocks(workload: workloads.Workload, size: int) -> Iterator[Any]:
    """The bars as BarBlocks of `size` minutes of all symbols, in order of time."""
    import numpy as np

    from stratd.data.block import BarBlock

    count = len(workload.symbols)
    symbol = np.tile(np.arange(count, dtype=np.int32), size)
    open_, high, low, close, volume = (np.ascontiguousarray(workload.columns[name].T).ravel() for name in workloads.FIELDS)
    times = np.repeat(workload.open_time, count)
    for start in range(0, workload.rows, size * count):
        cut = slice(start, start + size * count)
        rows = len(times[cut])
        line = np.arange(start + 1, start + rows + 1)
        yield BarBlock(
            times[cut], symbol[:rows], open_[cut], high[cut], low[cut], close[cut], volume[cut], np.zeros(rows, np.int32), line
        )


def bare_parts(path: Path) -> tuple[Any, Any, int]:
    """SessionData, derivation and block size that the engine would have for a session."""
    from stratd.core.clock import SystemClock
    from stratd.data.session_data import SessionData
    from stratd.system.builder import BLOCK_ROWS, DAY_NS, WINDOW_ROWS, build_derivation, build_market
    from stratd.system.config import load_session

    config = load_session(path)
    clock = SystemClock()
    market = build_market(config, clock)
    size = min(config.block_minutes, BLOCK_ROWS // len(market.symbols))
    keep = config.history_bars + min(config.window, WINDOW_ROWS // len(market.symbols)) + 1
    data = SessionData(market.symbols, market.intervals, keep)
    return data, build_derivation(config.instruments(), market, data, clock.now_ns() + DAY_NS), size


@functools.cache
def rolling_kernel() -> Callable[..., int]:
    """Rolling means of prices in whole cents, so that ties of two means are ties. Returns the sum of the last window."""
    import numba
    import numpy as np

    def rolling(column, start, stop, period, seen, total, out):  # type: ignore[no-untyped-def]
        for row in range(start, stop):
            total += round(column[row] * 100.0)
            seen += 1
            if seen > period:
                total -= round(column[row - period] * 100.0)
            out[row - start] = (total / period) * 0.01 if seen >= period else np.nan
        return total

    return numba.njit("int64(float64[::1], int64, int64, int64, int64, int64, float64[::1])")(rolling)  # type: ignore[no-any-return]


class RollingMean:
    """The mean of the last `period` closes of one symbol, as a plain loop would keep it."""

    __slots__ = ("_kernel", "_period", "_total")

    def __init__(self, period: int) -> None:
        self._kernel = rolling_kernel()
        self._period = period
        self._total = 0

    def values(self, closes: Any, base: int, start: int, stop: int) -> list[float]:
        """Means at the absolute rows `start` to `stop - 1`; `base` is the absolute row of `closes[0]`."""
        import numpy as np

        out = np.empty(stop - start)
        self._total = self._kernel(closes, start - base, stop - base, self._period, start, self._total, out)
        return out.tolist()


def bare(path: Path, workload: workloads.Workload) -> support.Run:
    """The bare loop. `result` is how many signals it came to."""
    data, derivation, size = bare_parts(path)
    ready = list(blocks(workload, size))
    cross = Cross()
    fast_mean, slow_mean = RollingMean(10), RollingMean(20)

    def loop() -> int:
        add = cross.add
        done = 0
        for block in ready:
            derivation.take(block)
            count, base = int(data.count[1, 0]), int(data.frame.base[1, 0])
            closes = data.frame.floats[1, 3, 0]
            values = (mean.values(closes, base, done, count) for mean in (fast_mean, slow_mean))
            for fast, slow in zip(*values, strict=True):
                add(fast, slow)
            done = count
        return cross.signals

    return support.timed(loop)


def main() -> None:
    """Measure, and print one JSON line per claim."""
    options = support.arguments(__doc__)
    support.use_this_tree()
    minutes = 100_000 if options.short else workloads.W1_MINUTES
    path, workload = write_session(minutes), workloads.w1(minutes)
    support.engine(write_session(20_000))  # what the first run of a process pays for: imports, kernels
    runs, loops = support.alternate(options.runs or 7, lambda: support.engine(path), lambda: bare(path, workload))
    run, loop = support.median(runs), support.median(loops)
    spent: dict[str, Any] = {"wall_seconds": run.wall_seconds, "cpu_seconds": run.cpu_seconds, "runs": len(runs)}
    speed, bare_speed = minutes / run.seconds, minutes / loop.seconds
    signals = {one.signals for every in runs for one in every.result.strategies.values()}
    support.report(
        [
            support.Claim(
                claim="w1_bars_per_second", value=speed, unit="1m bars/s", target=BARS_PER_SECOND, test="value >=",
                baseline=bare_speed, **spent,
            ),
            support.Claim(
                claim="w1_seconds_over_bare_loop", value=run.seconds, unit="s", target=TIMES_BARE, test="ratio <=",
                baseline=loop.seconds, note=f"CPU of the bare loop {loop.cpu_seconds:.3f} s", **spent,
            ),
            support.Claim(
                claim="w1_signals", value=max(signals) if len(signals) == 1 else None, unit="signals", target=SIGNALS[minutes],
                test="value ==", baseline=loop.result, note="" if len(signals) == 1 else f"runs differ: {sorted(signals)}", **spent,
            ),
        ]
    )  # fmt: skip


if __name__ == "__main__":
    main()

"""W2: 50 symbols of 20,000 minutes, 20 strategies on all of them at 1m; and what a delivery costs with 1 to 64 strategies.

    python bench/w2.py

A delivery is one bar given to one strategy. The bare loop takes in the same bars with the same kernel in blocks of the same
size, and calls a plain method of each of its strategies for each bar, in a Python loop; for the moving average cross each of its
strategies takes its own two rolling means, as those of the engine do. It has as many strategies as `BARE` says: what a
delivery costs there does not depend on how many they are.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

import support
import w1
import workloads
from peer import Cross

DELIVERIES: Final = {"counting": 3e6, "sma_cross": 1.5e6}
FLAT: Final = 1.5
STRATEGIES: Final = 20
COUNTS: Final = {1: 1, 4: 1, 16: 2, 64: 4}  # strategies: the part of the minutes that they are given
BARE: Final = 2


def write_session(module: str, count: int, minutes: int, **config: Any) -> Path:
    """A session of `count` strategies on the first minutes of W2."""
    path = support.bars_file("w2.arrow", lambda: workloads.table(workloads.w2(), None))
    entries = support.strategies(module, count, symbols=["*"], interval="1m", **config)
    feed = {"path": ".", "pattern": path.name, "end": support.until(minutes)}
    symbols = [f"S{i:02}" for i in range(workloads.W2_SYMBOLS)]
    return support.session_file(f"w2_{Path(module).stem}_{count}_{minutes}", symbols, feed, entries)


def bars_of(derivation: Any, block: Any) -> list[int]:
    """Take a block in. Returns the symbol of each bar that it makes, in order (the log also has session events)."""
    stream = derivation.take(block)[0].stream
    return stream[stream < workloads.W2_SYMBOLS].tolist()  # type: ignore[no-any-return]


class PlainCounting:
    """What counting.py does."""

    def __init__(self) -> None:
        self.count = 0

    def on_bars(self, symbol: str, interval: str) -> None:
        """One bar."""
        self.count += 1


def bare_counting(path: Path, workload: workloads.Workload) -> support.Run:
    """The bare loop of the counting strategies; `seconds` is what one delivery takes."""
    data, derivation, size = w1.bare_parts(path)
    ready = list(w1.blocks(workload, size))
    plain = [PlainCounting() for _ in range(BARE)]

    def loop() -> int:
        symbols = data.symbols
        for block in ready:
            order = bars_of(derivation, block)
            for one in plain:
                on_bars = one.on_bars
                for stream in order:
                    on_bars(symbols[stream], "1m")
        return sum(one.count for one in plain)

    return _per_delivery(support.timed(loop), workload.rows * BARE)


def bare_cross(path: Path, workload: workloads.Workload) -> support.Run:
    """The bare loop of the moving average cross; `seconds` is what one delivery takes."""
    data, derivation, size = w1.bare_parts(path)
    ready = list(w1.blocks(workload, size))
    count = len(workload.symbols)
    plain = [[Cross() for _ in range(count)] for _ in range(BARE)]
    means = [[(w1.RollingMean(10), w1.RollingMean(20)) for _ in range(count)] for _ in range(BARE)]

    def loop() -> int:
        done = 0
        for block in ready:
            order = bars_of(derivation, block)
            until, base = int(data.count[0, 0]), int(data.frame.base[0, 0])
            for crosses, own in zip(plain, means, strict=True):
                values = []
                for s in range(count):
                    closes = data.frame.floats[0, 3, s]
                    pairs = zip(*(mean.values(closes, base, done, until) for mean in own[s]), strict=True)
                    values.append(iter(list(pairs)))
                calls = [cross.add for cross in crosses]
                for stream in order:
                    calls[stream](*next(values[stream]))
            done = until
        return sum(cross.signals for crosses in plain for cross in crosses)

    return _per_delivery(support.timed(loop), workload.rows * BARE)


def _per_delivery(run: support.Run, deliveries: int) -> support.Run:
    return support.Run(run.seconds / deliveries, run.wall_seconds, run.cpu_seconds, run.result)


def engine(path: Path) -> support.Run:
    """A session's run; `seconds` is what one delivery takes."""
    run = support.engine(path)
    return _per_delivery(run, sum(one.notifications for one in run.result.strategies.values()))


def speed(
    name: str, path: Path, runs: int, bare: Callable[[Path, workloads.Workload], support.Run], workload: workloads.Workload
) -> support.Claim:
    """The claim on one kind of strategy."""
    found, loops = support.alternate(runs, lambda: engine(path), lambda: bare(path, workload))
    run, loop = support.median(found), support.median(loops)
    signals = sum(one.signals for one in run.result.strategies.values())
    note = f"{signals // STRATEGIES} signals each, the bare loop {loop.result // BARE}" if signals else ""
    if signals // STRATEGIES != loop.result // BARE and signals:
        raise SystemExit(f"w2 {name}: the engine and the bare loop do not come to the same: {note}")
    return support.Claim(
        claim=f"w2_{name}_per_second", value=1 / run.seconds, unit="deliveries/s", target=DELIVERIES[name], test="value >=",
        baseline=1 / loop.seconds, wall_seconds=run.wall_seconds, cpu_seconds=run.cpu_seconds, runs=len(found), note=note,
    )  # fmt: skip


def flat(module: str, minutes: int, runs: int, **config: Any) -> support.Claim:
    """What a delivery costs with few and with many strategies, about as many deliveries each."""
    # Fewer minutes where there are many strategies, but always more than a block.
    sessions = [write_session(module, count, minutes // part, **config) for count, part in COUNTS.items()]
    found = support.alternate(runs, *(partial(engine, path) for path in sessions))
    costs = [support.median(one) for one in found]
    dearest, cheapest = max(costs, key=lambda run: run.seconds), min(costs, key=lambda run: run.seconds)
    each = ", ".join(f"{count}: {1e9 * run.seconds:.0f}" for count, run in zip(COUNTS, costs, strict=True))
    return support.Claim(
        claim=f"w2_flat_{Path(module).stem}", value=1e9 * dearest.seconds, unit="ns/delivery", target=FLAT, test="ratio <=",
        baseline=1e9 * cheapest.seconds, wall_seconds=dearest.wall_seconds, cpu_seconds=dearest.cpu_seconds, runs=runs,
        note=f"dearest over cheapest; by strategies: {each}; a bar's own cost is in that of its deliveries",
    )  # fmt: skip


def main() -> None:
    """Measure, and print one JSON line per claim."""
    options = support.arguments(__doc__)
    support.use_this_tree()
    minutes = 2_000 if options.short else workloads.W2_MINUTES
    runs = options.runs or 3
    workload = workloads.w2(minutes)
    periods = {"fast_period": 10, "slow_period": 20}
    counting = write_session(support.COUNTING, STRATEGIES, minutes)
    cross = write_session(support.MA_CROSS, STRATEGIES, minutes, **periods)
    support.engine(write_session(support.MA_CROSS, 1, 200, **periods))  # imports, kernels
    support.report([speed("counting", counting, runs, bare_counting, workload)])
    support.report([speed("sma_cross", cross, runs, bare_cross, workload)])
    support.report([flat(support.COUNTING, minutes, runs)])
    support.report([flat(support.MA_CROSS, minutes, runs, **periods)])


if __name__ == "__main__":
    main()

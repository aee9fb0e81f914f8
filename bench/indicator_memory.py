"""Memory of indicators, and what sharing saves: 1,000 strategies with 20 of 50 indicators each, and 100 averages of one series.

    python bench/indicator_memory.py

The same 1,000 StrategyContexts twice on the same bars: once their indicators come from the hub, once each computes its own
(`private=True`). For each window the writer appends bars and the hub advances, every context takes the window in, and the
newest value of every handle is read. The time is that of all three (appending left out), so reading, which costs
the same in both, is in it; the notes say what each part took. Bytes are those of the columns that are held, capacity included.
"""

from __future__ import annotations

from time import perf_counter
from typing import Any, Final

import numpy as np

import player
import support

STRATEGIES: Final = 1_000
EACH: Final = 20
DISTINCT: Final = 50
LESS_BYTES: Final = 0.01
LESS_TIME: Final = 0.05
AVERAGES: Final = 100
OVER_OUTPUTS: Final = 1.2
PARTS: Final = ("hub", "contexts", "reading")


def drawn(strategies: int) -> list[list[Any]]:
    """What each strategy asks for: 20 of 50 indicators of the catalogue, drawn with a seed."""
    rng = np.random.default_rng(20240103)
    choice = list(player.hundred())
    distinct = [choice[at] for at in rng.choice(len(choice), DISTINCT, replace=False)]
    return [[distinct[at] for at in rng.choice(DISTINCT, EACH, replace=False)] for _ in range(strategies)]


class Crowd:
    """Many contexts on one player, past the warm-up of everything."""

    def __init__(self, wanted: list[list[Any]], private: bool, block: int) -> None:
        self.player = player.Player(ahead=block)
        self.readers = []
        for number, specs in enumerate(wanted):
            reader = player.Reader(self.player, f"strategy_{number}")
            for spec in specs:
                reader.ask(spec, private=private)
            reader.begin()
            self.readers.append(reader)
        self.window(player.HISTORY)
        self.read()

    def window(self, rows: int) -> tuple[float, float, float]:
        """Append rows and have everybody see them. Returns the seconds of each of PARTS."""
        made = self.player
        moving = made.moving_seconds
        made.write(rows)
        hub = made.advance() + made.moving_seconds - moving
        frame = made.data.frame
        ends = made.data.count[0] - frame.base[0]
        begun = perf_counter()
        for reader in self.readers:
            reader.show(frame, ends)
        contexts = perf_counter() - begun
        begun = perf_counter()
        self.read()
        return hub, contexts, perf_counter() - begun

    def read(self) -> None:
        """Read the newest value of every handle."""
        for reader in self.readers:
            for handle in reader.handles:
                _ = handle.value

    def play(self, rows: int, block: int) -> support.Run:
        """`seconds` is the time of all parts, `result` that of each."""

        def loop() -> list[float]:
            windows = [self.window(block) for _ in range(rows // block)]
            return [sum(part) for part in zip(*windows, strict=True)]

        run = support.timed(loop, sum)
        return support.Run(run.seconds, run.wall_seconds, run.cpu_seconds, run.result)

    def bytes(self) -> tuple[int, int]:
        """Bytes of all columns, and of the values that they hold."""
        engines = [self.player.hub._engine, *(reader.context.handles._own for reader in self.readers)]
        found = [engine for engine in engines if engine is not None]
        return sum(one.held_bytes() for one in found), sum(one.bytes_of(node) for one in found for node in one.nodes.values())


def same_values(shared: Crowd, private: Crowd) -> None:
    """See that both have come to the same.

    Raises:
        SystemExit: they have not.
    """
    for ours, theirs in zip(shared.readers, private.readers, strict=True):
        for one, other in zip(ours.handles, theirs.handles, strict=True):
            if not np.array_equal(one.values, other.values, equal_nan=True):
                raise SystemExit(f"indicator_memory: {one!r} is shared, {other!r} is private")


def sharing(name: str, strategies: int, rows: int, block: int, runs: int) -> list[support.Claim]:
    """Memory and time of shared against private indicators."""
    wanted = drawn(strategies)
    shared, private = Crowd(wanted, False, block), Crowd(wanted, True, block)
    ours, theirs = support.alternate(runs, lambda: shared.play(rows, block), lambda: private.play(rows, block))
    same_values(shared, private)
    run, other = support.median(ours), support.median(theirs)
    spent: dict[str, Any] = {"wall_seconds": run.wall_seconds, "cpu_seconds": run.cpu_seconds, "runs": runs}
    (held, values), (held_privately, values_privately) = shared.bytes(), private.bytes()
    parts, other_parts = (
        ", ".join(f"{part} {1e3 * seconds:.0f} ms" for part, seconds in zip(PARTS, one.result, strict=True)) for one in (run, other)
    )  # fmt: skip
    computing, computing_privately = (sum(one.result[:2]) for one in (run, other))
    return [
        support.Claim(
            claim=f"indicator_memory_sharing_{name}_bytes", value=held / 1e6, unit="MB", target=LESS_BYTES, test="ratio <=",
            baseline=held_privately / 1e6, runs=1,
            note=f"{strategies} strategies x {EACH} of {DISTINCT}; values held: {values / 1e6:.2f} against "
            f"{values_privately / 1e6:.1f} MB",
        ),
        support.Claim(
            claim=f"indicator_memory_sharing_{name}_seconds", value=run.seconds, unit="s", target=LESS_TIME, test="ratio <=",
            baseline=other.seconds, note=f"{rows} bars in windows of {block}; {parts}; private: {other_parts}", **spent,
        ),
        support.Claim(
            claim=f"indicator_memory_sharing_{name}_unread_seconds", value=computing, unit="s", target=LESS_TIME, test="ratio <=",
            baseline=computing_privately, note="the same runs without reading", **spent,
        ),
    ]  # fmt: skip


def averages() -> support.Claim:
    """100 SMAs of one series: columns and state over the columns that were asked for."""
    from stratd.indicators import SMA

    made = player.Player()
    made.ask([SMA(period) for period in range(2, 2 + AVERAGES)])
    made.settle(player.BLOCK)
    engine = made.hub._engine
    rows = int(made.data.frame.capacity[0])
    state = sum(node.state.nbytes + node.parameters.nbytes for node in engine.nodes.values())
    columns = made.hub.held_bytes()
    return support.Claim(
        claim="indicator_memory_averages", value=(columns + state) / 1e6, unit="MB", target=OVER_OUTPUTS, test="ratio <=",
        baseline=8 * rows * AVERAGES / 1e6,
        note=f"{sum(one.columns for one in made.hub.stats())} columns of {rows} rows; {state} bytes of state and parameters",
    )  # fmt: skip


def main() -> None:
    """Measure, and print one JSON line per claim."""
    options = support.arguments(__doc__)
    support.use_this_tree()
    strategies = 50 if options.short else STRATEGIES
    runs = options.runs or (1 if options.short else 3)
    support.report(sharing("live", strategies, 20 if options.short else 100, 1, runs))
    support.report(sharing("blocks", strategies, 512, 256, runs))
    support.report([averages()])


if __name__ == "__main__":
    main()

"""The gate at W = 1: every strategy finishes a step before the next is published.

    python bench/gate.py

One symbol, a strategy that counts; what a step costs, by number of strategies, divided by that number. The bare loop is one
thread that opens a raw lock of each of the same number of threads and waits for a raw lock of each in return, all on one core,
and a plain method that each thread calls.
"""

from __future__ import annotations

import threading
from _thread import allocate_lock
from functools import partial
from pathlib import Path
from typing import Final

import support
import workloads

MICROSECONDS: Final = 15.0
COUNTS: Final = (1, 4, 16, 64)
DELIVERIES: Final = 40_000  # of each run: about as long whatever the number of strategies


def write_session(count: int, minutes: int) -> Path:
    """`count` counting strategies on the first minutes of W1."""
    path = support.bars_file("w1.arrow", lambda: workloads.table(workloads.w1(), 0))
    entries = support.strategies(support.COUNTING, count, symbols=["W1"], interval="1m")
    feed = {"files": {"W1": str(path)}, "end": support.until(minutes)}
    return support.session_file(f"gate_{count}_{minutes}", ["W1"], feed, entries)


def engine(path: Path, deliveries: int) -> support.Run:
    """A session's run at W = 1; `seconds` is that of one event and thread."""
    run = support.engine(path, window=1)
    if sum(one.notifications for one in run.result.strategies.values()) != deliveries:
        raise SystemExit(f"{path}: not every strategy was given every bar")
    return support.Run(run.seconds / deliveries, run.wall_seconds, run.cpu_seconds, run.result)


class Hand:
    """A thread that is handed something to do, and says when it is done."""

    def __init__(self, core: int | None, events: int) -> None:
        self.given, self.done = allocate_lock(), allocate_lock()
        self.given.acquire()
        self.done.acquire()
        self.count = 0
        self._core, self._events = core, events
        self.thread = threading.Thread(target=self._run)

    def on_bars(self) -> None:
        """One event."""
        self.count += 1

    def _run(self) -> None:
        from stratd.core.cores import pin_this_thread

        if self._core is not None:
            pin_this_thread(self._core)
        for _ in range(self._events):
            self.given.acquire()
            self.on_bars()
            self.done.release()


def bare(count: int, events: int) -> support.Run:
    """The bare hand-over; `seconds` is that of one event and thread."""
    from stratd.core.cores import current_core, pin_this_thread

    core = current_core()
    hands = [Hand(core, events) for _ in range(count)]

    def loop() -> None:
        if core is not None:
            pin_this_thread(core)
        for _ in range(events):
            for hand in hands:
                hand.given.release()
            for hand in hands:
                hand.done.acquire()

    def work() -> None:
        for hand in hands:
            hand.thread.start()
        writer = threading.Thread(target=loop)
        writer.start()
        writer.join()
        for hand in hands:
            hand.thread.join()

    run = support.timed(work)
    return support.Run(run.seconds / (count * events), run.wall_seconds, run.cpu_seconds)


def main() -> None:
    """Measure, and print one JSON line per claim."""
    options = support.arguments(__doc__)
    support.use_this_tree()
    deliveries = DELIVERIES // 10 if options.short else DELIVERIES
    support.engine(write_session(1, 100), window=1)  # imports, kernels
    for count in COUNTS:
        events = deliveries // count
        path = write_session(count, events)
        runs, loops = support.alternate(options.runs or 5, partial(engine, path, count * events), partial(bare, count, events))
        run, loop = support.median(runs), support.median(loops)
        support.report(
            [
                support.Claim(
                    claim=f"gate_w1_strategies_{count}", value=1e6 * run.seconds, unit="µs/event/thread", target=MICROSECONDS,
                    baseline=1e6 * loop.seconds, wall_seconds=run.wall_seconds, cpu_seconds=run.cpu_seconds, runs=len(runs),
                )
            ]
        )  # fmt: skip


if __name__ == "__main__":
    main()

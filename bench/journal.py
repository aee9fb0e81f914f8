"""The journal: how long a durable post takes, and how many there are in a second.

    python bench/journal.py

One producer posts an entry of an order's size and waits until it is durable: the 99th percentile. The bare loop appends 4 KiB to a
file in the same directory and calls fdatasync. Runs of both take turns, and each number is the median of its runs. Then 16 producers do the same, and
what counts is how many posts became durable in a second. The directory is bench/out: a file system in memory would prove nothing.
"""

from __future__ import annotations

import os
import shutil
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any, Final

import support

RATIO: Final = 3.0
PER_SECOND: Final = 12_000.0
POSTS: Final = 4_000
PRODUCERS: Final = 16
PAYLOAD: Final = bytes(120)  # an order's record
DIRECTORY: Final = support.OUT / f"journal_{os.getpid()}"  # a second run at the same time must not remove the files of the first


def p99(times_ns: list[int]) -> float:
    """The 99th percentile, in seconds."""
    return sorted(times_ns)[len(times_ns) * 99 // 100] / 1e9


def fresh_directory() -> Path:
    """An empty directory."""
    shutil.rmtree(DIRECTORY, ignore_errors=True)
    DIRECTORY.mkdir(parents=True)
    return DIRECTORY


def bare(posts: int) -> float:
    """Append and fdatasync; the 99th percentile in seconds."""
    block, times = bytes(4096), []
    descriptor = os.open(fresh_directory() / "bare", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        for _ in range(posts):
            start = time.perf_counter_ns()
            os.write(descriptor, block)
            os.fdatasync(descriptor)
            times.append(time.perf_counter_ns() - start)
    finally:
        os.close(descriptor)
    return p99(times)


def posting(journal: Any, posts: int) -> list[int]:
    """Post and wait, over and over; how long each took in ns."""
    from stratd.journal.entry import Entry

    times = []
    for number in range(posts):
        start = time.perf_counter_ns()
        if not journal.wait(journal.post([Entry("bench", 1, number, PAYLOAD)])):
            raise SystemExit(f"the journal fails: {journal.failure}")
        times.append(time.perf_counter_ns() - start)
    return times


def one_producer(posts: int) -> float:
    """The 99th percentile in seconds."""
    from stratd.journal.journal import Journal

    with Journal(fresh_directory() / "journal.db", durable=True, session="bench") as journal:
        return p99(posting(journal, posts))


def producers(posts: int) -> float:
    """Seconds from the first post of 16 threads until the last is durable."""
    from stratd.journal.journal import Journal

    with Journal(fresh_directory() / "journal.db", durable=True, session="bench") as journal:
        threads = [threading.Thread(target=posting, args=(journal, posts // PRODUCERS)) for _ in range(PRODUCERS)]
        start = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        seconds = time.perf_counter() - start
        if journal.durable_ticket != posts // PRODUCERS * PRODUCERS:
            raise SystemExit("not every post became durable")
    return seconds


def run_of(work: Any, posts: int) -> support.Run:
    """A run whose `seconds` is what `work` gives."""
    return support.timed(partial(work, posts), float)


def main() -> None:
    """Measure, and print one JSON line per claim."""
    options = support.arguments(__doc__)
    support.use_this_tree()
    posts = POSTS // 10 if options.short else POSTS
    runs, loops = support.alternate(options.runs or 5, partial(run_of, one_producer, posts), partial(run_of, bare, posts))
    run, loop = support.median(runs), support.median(loops)
    many = support.median([run_of(producers, 5 * posts) for _ in range(options.runs or 5)])
    shutil.rmtree(DIRECTORY, ignore_errors=True)
    support.report(
        [
            support.Claim(
                claim="journal_one_producer_p99", value=1e6 * run.seconds, unit="µs", target=RATIO, test="ratio <=",
                baseline=1e6 * loop.seconds, wall_seconds=run.wall_seconds, cpu_seconds=run.cpu_seconds, runs=len(runs),
            ),
            support.Claim(
                claim="journal_16_producers", value=5 * posts // PRODUCERS * PRODUCERS / many.seconds, unit="durable posts/s", target=PER_SECOND,
                test="value >=", wall_seconds=many.wall_seconds, cpu_seconds=many.cpu_seconds, runs=options.runs or 5,
            ),
        ]
    )  # fmt: skip


if __name__ == "__main__":
    main()

"""Memory: what SessionData takes for the bars that it holds, and what a replay of ten times the data takes.

    python bench/memory.py

Each session runs in a process of its own, through the command line. At rest, after the run: what the system has allocated
for SessionData's memfd (each page once, however often it is mapped), against the raw bytes of the rows that are
held. Peak: the highest of anonymous and shared memory together, sampled every 5 ms, since VmHWM also counts pages of mapped
input files, which are nobody's memory; it is in the note.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import support
import workloads

AT_REST: Final = 1.3
SAME: Final = 1.1  # "the same peak": the allocator and the sampling have some play
MB: Final = 1e6


def w2_session() -> Path:
    """W2's bars, 5m and 15m derived, a strategy that counts on 5m."""
    path = support.bars_file("w2.arrow", lambda: workloads.table(workloads.w2(), None))
    symbols = [f"S{i:02}" for i in range(workloads.W2_SYMBOLS)]
    entries = support.strategies(support.COUNTING, 1, symbols=["*"], interval="5m")
    return support.session_file("memory_w2", symbols, {"path": ".", "pattern": path.name}, entries, derived=[5, 15])


def many_session(symbols: int, suffix: str, minutes: int) -> Path:
    """A strategy that counts on 5m, all symbols in one file."""
    name = f"memory_{symbols}_{minutes}"
    path = support.bars_file(f"{name}{suffix}", lambda: workloads.table(workloads.many(symbols, minutes), None))
    entries = support.strategies(support.COUNTING, 1, symbols=["*"], interval="5m")
    names = [f"M{i:04}" for i in range(symbols)]
    feed = {"path": ".", "pattern": path.name}
    return support.session_file(f"{name}_{suffix[1:].replace('.', '_')}", names, feed, entries, derived=[5, 15])


def run(path: Path) -> tuple[support.Run, dict[str, Any]]:
    """A session in a process of its own, sampled."""
    return support.child("backtest", str(path), "--quiet", "--results-dir", str(support.OUT / "results"), "--sample")


def at_rest(name: str, path: Path) -> support.Claim:
    """SessionData after the run."""
    took, found = run(path)
    return support.Claim(
        claim=f"memory_at_rest_{name}", value=found["memfd_bytes"] / MB, unit="MB", target=AT_REST, test="ratio <=",
        baseline=found["column_bytes"] / MB, wall_seconds=took.wall_seconds, cpu_seconds=took.cpu_seconds,
        note=f"after {found['compactions']} compactions; RssShmem, writer's and readers' mapping, {found['shmem_bytes'] / MB:.1f} MB",
    )  # fmt: skip


def peak(symbols: int, suffix: str, minutes: int, runs: int) -> support.Claim:
    """A replay of `minutes`, and of a tenth of them: both are longer than all that is held at a time."""
    paths = [many_session(symbols, suffix, span) for span in (minutes, minutes // 10)]
    found = [[run(path) for path in paths] for _ in range(runs)]
    tall, low = (support.middle(pair[i][1]["peak_own_bytes"] for pair in found) / MB for i in (0, 1))
    whole = [support.middle(pair[i][1]["peak_bytes"] for pair in found) / MB for i in (0, 1)]
    took = support.median([pair[0][0] for pair in found])
    return support.Claim(
        claim=f"memory_peak_10x_{symbols}_{suffix[1:].replace('.', '_')}", value=tall, unit="MB", target=SAME, test="ratio <=",
        baseline=low, wall_seconds=took.wall_seconds, cpu_seconds=took.cpu_seconds, runs=runs,
        note=f"{minutes} against {minutes // 10} minutes; VmHWM, mapped files included: {whole[0]:.0f} against {whole[1]:.0f} MB",
    )  # fmt: skip


def main() -> None:
    """Measure, and print one JSON line per claim."""
    import symbols
    import w1

    options = support.arguments(__doc__)
    support.use_this_tree()
    support.report([at_rest("w1", w1.write_session(20_000 if options.short else workloads.W1_MINUTES))])
    support.report([at_rest("w2", w2_session())])
    support.report([at_rest("2000_symbols", symbols.write_session(*symbols.MANY, one_file=True))])
    runs = options.runs or (1 if options.short else 3)
    if options.short:
        support.report([peak(1, ".arrow", 400_000, runs)])
        return
    for suffix in (".arrow", ".parquet", ".csv.gz"):
        support.report([peak(1, suffix, 2_000_000, runs)])
    support.report([peak(10, ".arrow", 600_000, runs)])


if __name__ == "__main__":
    main()

"""Many symbols: what a bar costs with 2,000 symbols of 390 bars, against 20 symbols of 39,000.

    python bench/symbols.py

The same number of bars, 5m and 15m derived, one strategy that counts every 1m bar. Once with all bars in one file in
order of time, as a feed of a whole market has them, and once with a file for each symbol.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Final

import support
import workloads

TIMES: Final = 1.5
MANY: Final = (2_000, 390)
FEW: Final = (20, 39_000)


def write_session(symbols: int, minutes: int, one_file: bool) -> Path:
    """A session of `symbols` symbols and one strategy on all of them."""
    name = f"symbols_{symbols}_{minutes}"
    names = [f"M{i:04}" for i in range(symbols)]
    if one_file:
        file = support.bars_file(f"{name}.arrow", lambda: workloads.table(workloads.many(symbols, minutes), None))
        feed = {"path": ".", "pattern": file.name}
    else:
        directory = support.OUT / name
        if not directory.is_dir():
            bars, part = workloads.many(symbols, minutes), directory.with_name(f".part-{name}")
            for i, symbol in enumerate(names):
                workloads.write(workloads.table(bars, i), part / f"{symbol}.arrow")
            part.rename(directory)
        feed = {"path": name, "pattern": "{symbol}.arrow"}
    entries = support.strategies(support.COUNTING, 1, symbols=["*"], interval="1m")
    return support.session_file(f"{name}_{'one' if one_file else 'each'}", names, feed, entries, derived=[5, 15])


def engine(path: Path, rows: int) -> support.Run:
    """A session's run; `seconds` is that of one 1m bar."""
    run = support.engine(path)
    if run.result.bars_in != rows:
        raise SystemExit(f"{path}: {run.result.bars_in} bars came in, not {rows}")
    return support.Run(run.seconds / rows, run.wall_seconds, run.cpu_seconds)


def main() -> None:
    """Measure, and print one JSON line per claim."""
    options = support.arguments(__doc__)
    support.use_this_tree()
    many, few = ((200, 390), (20, 3_900)) if options.short else (MANY, FEW)
    rows = many[0] * many[1]
    support.engine(write_session(20, 100, one_file=True))  # imports, kernels
    for one_file in (True, False):
        paths = [write_session(*shape, one_file=one_file) for shape in (many, few)]
        found = support.alternate(options.runs or 5, *(partial(engine, path, rows) for path in paths))
        wide, narrow = (support.median(runs) for runs in found)
        support.report(
            [
                support.Claim(
                    claim=f"symbols_{many[0]}_{'one_file' if one_file else 'file_each'}", value=1e9 * wide.seconds, unit="ns/bar",
                    target=TIMES, test="ratio <=", baseline=1e9 * narrow.seconds, wall_seconds=wide.wall_seconds,
                    cpu_seconds=wide.cpu_seconds, runs=len(found[0]), note=f"baseline: {few[0]} symbols x {few[1]} bars",
                )
            ]
        )  # fmt: skip


if __name__ == "__main__":
    main()

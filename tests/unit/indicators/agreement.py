"""How far indicators are from their oracles, on real bars: what docs/agreement.md shows.

PYTHONPATH=daemon python -m tests.unit.indicators.agreement     all cases, all files: minutes
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ...support.indicator_cases import Case
from ...support.paths import repo_root
from . import cases as package

SHARED: Final = repo_root().parent / "shared" / "data" / "bars"
_ROWS: Final = 3_000  # of each file, for oracles that are slow
_SMALL: Final = 1e-3  # below this part of a file's largest value, a difference is not compared with the value itself


def all_cases() -> list[tuple[str, Case]]:
    """Every case with its family."""
    found = []
    for module in iter_modules(package.__path__):
        held = import_module(f"{package.__name__}.{module.name}")
        found += [(module.name, case) for case in getattr(held, "ALL", held.CASES)]
    return found


def files() -> list[Path]:
    """All files of real bars."""
    return sorted(SHARED.rglob("*.csv.gz"))


def bars_of(path: Path, rows: int | None = None) -> dict[str, NDArray[Any]]:
    """A file's bars."""
    import pandas as pd

    frame = pd.read_csv(path, nrows=rows).sort_values("timestamp", ignore_index=True)
    bars: dict[str, NDArray[Any]] = {
        name: frame[name].to_numpy(np.float64, copy=True) for name in ("open", "high", "low", "close", "volume")
    }
    bars["open_time"] = pd.to_datetime(frame["timestamp"], utc=True).dt.as_unit("ns").astype("int64").to_numpy()
    bars["close_time"] = bars["open_time"] + 60_000_000_000
    return bars


@dataclass
class Agreement:
    """What one case came to over several files.

    Attributes:
        relative: largest difference over the value, of values of at least a thousandth of the file's largest.
        of_largest: largest difference over the file's largest value, of all rows.
        other_rows: rows where one has a value and the other has none, warm-up included.
    """

    case: Case
    values: int = 0
    relative: float = 0.0
    of_largest: float = 0.0
    other_rows: int = 0
    files: set[str] = field(default_factory=set)

    def add(self, path: Path, bars: dict[str, NDArray[Any]]) -> None:
        """Compare on one file's bars. Without a tick: these are files of many instruments."""
        case = self.case
        got, expected = case.spec.compute(bars), case.oracle(bars)
        for name, mine in got.items():
            one, other = mine[case.skip_rows :], np.asarray(expected[name], float)[case.skip_rows :]
            both = ~np.isnan(one) & ~np.isnan(other)
            self.other_rows += int((np.isnan(one) != np.isnan(other)).sum())
            if not both.any():
                continue
            size = np.abs(other[both])
            apart = np.abs(one[both] - other[both])
            largest = float(size.max())
            self.values += int(both.sum())
            if largest > 0.0:
                self.of_largest = max(self.of_largest, float(apart.max()) / largest)
                rows = size >= _SMALL * largest
                self.relative = max(self.relative, float((apart[rows] / size[rows]).max()))
            else:
                self.of_largest = max(self.of_largest, float(apart.max()))
        self.files.add(path.name)


def agreements(cases: Iterable[Case], paths: Sequence[Path]) -> list[Agreement]:
    """Every case on every file; whole files where the oracle is TA-Lib."""
    found = [Agreement(case) for case in cases]
    for number, path in enumerate(paths, 1):
        print(f"{number}/{len(paths)} {path.name}", file=sys.stderr, flush=True)
        whole = bars_of(path)
        part = {name: column[:_ROWS].copy() for name, column in whole.items()}
        for one in found:
            one.add(path, whole if one.case.kind == "talib" else part)
    return found


def table(found: Iterable[Agreement]) -> str:
    """As Markdown."""
    lines = [
        "| indicator | oracle | values | largest relative difference | of the largest value | rows with a value in one only | note |",
        "| --- | --- | ---: | ---: | ---: | ---: | --- |",
    ]
    for one in found:
        oracle = "TA-Lib" if one.case.kind == "talib" else "pandas or numpy"
        lines.append(
            f"| {one.case.spec} | {oracle} | {one.values:,} | {one.relative:.1e} | {one.of_largest:.1e} | "
            f"{one.other_rows or ''} | {one.case.note} |"
        )
    return "\n".join(lines)


INTRODUCTION: Final = """# Indicators against their oracles

Made by `python -m tests.unit.indicators.agreement` from {values:,} values: every case of `tests/unit/indicators/cases/` on all {files} files
of real one-minute bars (crypto, futures, currencies, shares; whole files where the oracle is TA-Lib, {rows:,} rows of each elsewhere), without a
tick, warm-up included. `make prove` compares again, the suite does so on a part.

*Largest relative difference* is over the value itself, of values of at least a thousandth of the file's largest; *of the largest value* is of all
rows. Where the first is above 1e-9 the note says why, and a case with another oracle, or an exact computation, shows who is off.
*Rows with a value in one only* are rows that TA-Lib leaves out, or that are not compared because TA-Lib has lost their digits.

"""


def main() -> None:
    """Write docs/agreement.md."""
    found = agreements((case for _, case in all_cases()), files())
    found.sort(key=lambda one: (one.case.kind != "talib", str(one.case.spec)))
    heading = INTRODUCTION.format(values=sum(one.values for one in found), files=len(files()), rows=_ROWS)
    (repo_root() / "docs" / "agreement.md").write_text(heading + table(found) + "\n")


if __name__ == "__main__":
    main()

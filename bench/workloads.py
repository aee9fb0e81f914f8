"""The bars that the benches play: seeded, so that they are the same on every machine.

W1 is one symbol of 525,600 minutes, W2 is 50 symbols of 20,000 minutes. Prices are a geometric random walk rounded to cents.
Two more shapes serve the questions of many symbols and of memory; they are cut from walks made in the same way.

Needs numpy alone, so that peers can make the same bars in an environment of their own. `write` also needs pyarrow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

START_SECONDS: Final = 1_704_067_200  # 2024-01-01T00:00:00Z
EARLY_SECONDS: Final = 1_262_304_000  # 2010-01-01T00:00:00Z
MINUTE_NS: Final = 60_000_000_000
FIELDS: Final = ("open", "high", "low", "close", "volume")
W1_MINUTES: Final = 525_600
W2_SYMBOLS: Final = 50
W2_MINUTES: Final = 20_000

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Workload:
    """1-minute bars of several symbols without a gap, all from the same minute on.

    Attributes:
        symbols: names.
        columns: by field: float64[symbols, minutes].
        start_seconds: when the first bar opens.
    """

    symbols: tuple[str, ...]
    columns: dict[str, Floats]
    start_seconds: int = START_SECONDS

    @property
    def minutes(self) -> int:
        """Minutes of each symbol."""
        return int(self.columns["close"].shape[1])

    @property
    def rows(self) -> int:
        """Bars of all symbols together."""
        return len(self.symbols) * self.minutes

    @property
    def open_time(self) -> NDArray[np.int64]:
        """int64[minutes], ns UTC."""
        return self.start_seconds * 1_000_000_000 + MINUTE_NS * np.arange(self.minutes, dtype=np.int64)

    def first(self, minutes: int) -> Workload:
        """The first minutes of every symbol."""
        columns = {name: column[:, :minutes] for name, column in self.columns.items()}
        return Workload(self.symbols, columns, self.start_seconds)


def walk(rng: np.random.Generator, minutes: int, start: float = 100.0, sigma: float = 0.0005) -> tuple[Floats, ...]:
    """Open, high, low, close and volume of one symbol.

    Four steps a minute, so that high and low differ from open and close; prices are whole cents, volume is 1 to 999.
    """
    path = start * np.exp(np.cumsum(rng.normal(0, sigma / 2, (minutes, 4)).ravel())).reshape(minutes, 4)
    opened = np.concatenate([[start], path[:-1, 3]])
    closed = path[:, 3]
    prices = (opened, np.maximum(path.max(1), opened), np.minimum(path.min(1), opened), closed)
    volume = rng.integers(1, 1000, minutes).astype(float)
    return (*(np.round(np.maximum(price, 0.01), 2) for price in prices), volume)


def _workload(symbols: Sequence[str], walks: Sequence[tuple[Floats, ...]], start_seconds: int = START_SECONDS) -> Workload:
    columns = {name: np.stack([one[f] for one in walks]) for f, name in enumerate(FIELDS)}
    return Workload(tuple(symbols), columns, start_seconds)


def w1(minutes: int = W1_MINUTES) -> Workload:
    """One symbol. Fewer minutes are the first ones of the whole."""
    rng = np.random.default_rng(20240101)
    return _workload(("W1",), [walk(rng, W1_MINUTES)]).first(minutes)


def w2(minutes: int = W2_MINUTES) -> Workload:
    """50 symbols. Fewer minutes are the first ones of the whole."""
    rng = np.random.default_rng(20240101)
    walk(rng, W1_MINUTES)  # one generator makes both workloads, one after the other
    walks = [walk(rng, W2_MINUTES, 50 + 5 * i) for i in range(W2_SYMBOLS)]
    return _workload([f"S{i:02}" for i in range(W2_SYMBOLS)], walks).first(minutes)


def many(symbols: int, minutes: int) -> Workload:
    """Any number of symbols. They begin in 2010, so that years of minutes do not lie in the future."""
    rng = np.random.default_rng(20240102)
    walks = [walk(rng, minutes) for _ in range(symbols)]
    return _workload([f"M{i:04}" for i in range(symbols)], walks, EARLY_SECONDS)


def table(workload: Workload, symbol: int | None) -> Any:
    """An Arrow table of one symbol's bars, or of all of them in order of time, with a column `symbol`."""
    import pyarrow as pa

    if symbol is not None:
        times = pa.array(workload.open_time, pa.timestamp("ns", tz="UTC"))
        return pa.table({"timestamp": times} | {name: column[symbol] for name, column in workload.columns.items()})
    count = len(workload.symbols)
    times = pa.array(np.repeat(workload.open_time, count), pa.timestamp("ns", tz="UTC"))
    codes = pa.array(np.tile(np.arange(count, dtype=np.int32), workload.minutes))
    names = pa.DictionaryArray.from_arrays(codes, pa.array(workload.symbols))
    columns = {name: np.ascontiguousarray(column.T).ravel() for name, column in workload.columns.items()}
    return pa.table({"timestamp": times, "symbol": names} | columns)


def write(found: Any, path: Path) -> None:
    """Write an Arrow table as .arrow (IPC, not compressed), .parquet or .csv.gz, whole or not at all."""
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet

    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".part-{path.name}")
    if path.name.endswith(".parquet"):
        pa.parquet.write_table(found, part, row_group_size=65_536)
    elif path.name.endswith(".csv.gz"):
        with pa.CompressedOutputStream(str(part), "gzip") as stream:
            pa.csv.write_csv(found, stream)
    else:
        with pa.ipc.new_file(str(part), found.schema) as writer:
            writer.write_table(found, max_chunksize=65_536)
    part.replace(path)

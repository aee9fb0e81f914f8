"""Every adapter of HistoryFeed runs the contract that ships in stratd.testing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest

from stratd.feeds.replay import ReplayFeed, ReplaySource
from stratd.testing.bars import BarRow, write_csv
from stratd.testing.feeds import FeedFactory, HistoryFeedContract


class TestReplayOfOneFile(HistoryFeedContract):
    @pytest.fixture(params=["csv", "csv.gz", "parquet", "arrow"])
    def make_feed(self, tmp_path: Path, request: pytest.FixtureRequest) -> FeedFactory:
        def make(rows: Sequence[BarRow]) -> ReplayFeed:
            path = tmp_path / f"bars.{request.param}"
            if request.param.startswith("csv"):
                write_csv(path, rows, symbol_column=True)
            else:
                names = ("symbol", "ts", "open", "high", "low", "close", "volume")
                kinds = (pa.string(), pa.int64(), *[pa.float64()] * 5)
                data = pa.table(
                    {
                        name: pa.array([row[i] for row in rows], kind)
                        for i, (name, kind) in enumerate(zip(names, kinds, strict=True))
                    }
                )
                if request.param == "parquet":
                    pyarrow.parquet.write_table(data, path, row_group_size=20)
                else:
                    with pa.ipc.new_file(str(path), data.schema) as writer:
                        writer.write_table(data, max_chunksize=9)
            return ReplayFeed([ReplaySource(path)], batch_rows=11)

        return make


class TestReplayOfAFileForEachSymbol(HistoryFeedContract):
    @pytest.fixture(params=[1, 8, None])
    def make_feed(self, tmp_path: Path, request: pytest.FixtureRequest) -> FeedFactory:
        def make(rows: Sequence[BarRow]) -> ReplayFeed:
            sources = []
            for symbol in ("AAA", "BBB", "CCC", "ZZZ"):
                of_it = [row for row in rows if row.symbol == symbol]
                for part, some in enumerate((of_it[:9], of_it[9:])):
                    sources.append(ReplaySource(write_csv(tmp_path / f"{symbol}{part}.csv", some), symbol))
            return ReplayFeed(sources, batch_rows=request.param)

        return make

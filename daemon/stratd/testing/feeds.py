"""HistoryFeedContract: what every feed of recorded bars must do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

import numpy as np
import pytest

from stratd.data.block import UNKNOWN_SYMBOL, BarBlock
from stratd.data.feed import HistoryFeed
from stratd.model.interval import MINUTE_NS
from stratd.testing.bars import BarRow, bars

FeedFactory = Callable[[Sequence[BarRow]], HistoryFeed]
SYMBOLS: Final = ("BBB", "AAA", "CCC")
_SIZES: Final = ((1, 1), (1, 1_000), (2, 3), (3, 5), (4, 1_000), (10_000, 1), (10_000, 7), (10_000, 1_000_000))


def contract_table() -> list[BarRow]:
    """Bars of three symbols and an unknown one, in time order: holes, a minute of one symbol alone, a night."""
    rows = []
    for minute in range(40):
        stamp = f"2024-01-{2 if minute < 25 else 3:02}T12:{minute:02}"
        for place, symbol in enumerate(("AAA", "BBB", "CCC", "ZZZ")):
            if (minute * 7 + place * 3) % (5 + place) != 0:
                price = 100 + minute + place / 10
                rows += bars(f"{stamp} {price} {price + 1} {price - 1} {price + 0.5} {minute}", symbol=symbol)
    return rows


class HistoryFeedContract:
    """Run it on your feed: subclass it in a test module, and give it a fixture `make_feed`.

        class TestMyFeed(HistoryFeedContract):
            @pytest.fixture
            def make_feed(self, tmp_path):
                return lambda rows: MyFeed(store(tmp_path, rows))

    `make_feed(rows)` returns a feed, not opened yet, of bars that stand in time order, of many symbols. The feed must be able
    to hold symbols that the session does not have. It may be called several times in a test.
    """

    @pytest.fixture
    def make_feed(self) -> FeedFactory:
        """A function from rows to a feed; yours."""
        raise NotImplementedError("give this class a fixture make_feed")

    @pytest.fixture
    def feed(self, make_feed: FeedFactory) -> Iterator[HistoryFeed]:
        """The feed of `contract_table`, opened."""
        feed = make_feed(contract_table())
        feed.open(SYMBOLS)
        yield feed
        feed.close()

    def test_next_block_all_blocks_together_hold_every_row_in_order(self, feed: HistoryFeed) -> None:
        ranks = {symbol: rank for rank, symbol in enumerate(SYMBOLS)}
        expected = sorted(contract_table(), key=lambda row: (row.open_time, ranks.get(row.symbol, len(ranks))))
        assert [row for block in drain(feed, 7, 50) for row in rows_of(block, SYMBOLS)] == expected

    @pytest.mark.parametrize(("max_minutes", "max_rows"), _SIZES)
    def test_next_block_any_size_gives_the_same_rows(
        self, make_feed: FeedFactory, feed: HistoryFeed, max_minutes: int, max_rows: int
    ) -> None:
        other = make_feed(contract_table())
        other.open(SYMBOLS)
        try:
            whole = [row for block in drain(feed, 10_000, 1_000_000) for row in rows_of(block, SYMBOLS)]
            assert [row for block in drain(other, max_minutes, max_rows) for row in rows_of(block, SYMBOLS)] == whole
        finally:
            other.close()

    @pytest.mark.parametrize(("max_minutes", "max_rows"), _SIZES)
    def test_next_block_holds_whole_minutes_and_not_too_many(self, feed: HistoryFeed, max_minutes: int, max_rows: int) -> None:
        seen: set[int] = set()
        for block in drain(feed, max_minutes, max_rows):
            minutes = set((block.open_time // MINUTE_NS).tolist())
            assert len(block) > 0
            assert not minutes & seen
            assert len(minutes) <= max_minutes
            seen |= minutes

    def test_next_block_at_the_end_is_none_again_and_again(self, feed: HistoryFeed) -> None:
        drain(feed, 10_000, 1_000_000)
        assert [feed.next_block(10, 10), feed.next_block(10, 10)] == [None, None]

    def test_next_block_columns_have_the_types_of_a_block(self, feed: HistoryFeed) -> None:
        block = feed.next_block(10, 1_000)
        assert block is not None
        columns = (
            block.open_time,
            block.symbol,
            block.open,
            block.high,
            block.low,
            block.close,
            block.volume,
            block.source,
            block.line,
        )
        types = (np.int64, np.int32, *[np.float64] * 5, np.int32, np.int64)
        assert [column.dtype for column in columns] == [np.dtype(kind) for kind in types]
        assert all(column.flags.c_contiguous and column.flags.aligned and len(column) == len(block) for column in columns)

    def test_next_block_unknown_symbols_are_named(self, feed: HistoryFeed) -> None:
        for block in drain(feed, 3, 1_000):
            assert sorted(block.unknown) == np.flatnonzero(block.symbol == UNKNOWN_SYMBOL).tolist()
            assert set(block.unknown.values()) <= {"ZZZ"}

    def test_next_block_source_and_line_name_each_row_once(self, feed: HistoryFeed) -> None:
        blocks = drain(feed, 3, 1_000)
        places = [place for block in blocks for place in zip(block.source.tolist(), block.line.tolist(), strict=True)]
        assert len(set(places)) == len(places) == len(contract_table())
        assert all(0 <= source < len(feed.sources) and line >= 1 for source, line in places)

    def test_progress_never_goes_back_and_ends_at_one(self, feed: HistoryFeed) -> None:
        shares = [feed.progress()]
        while feed.next_block(2, 100) is not None:
            shares.append(feed.progress())
        known = [share for share in shares if share is not None]
        assert known == sorted(known)
        assert all(0.0 <= share <= 1.0 for share in known)
        assert not known or known[-1] == 1.0

    def test_open_of_an_empty_table_gives_nothing(self, make_feed: FeedFactory) -> None:
        feed = make_feed([])
        feed.open(SYMBOLS)
        assert feed.next_block(10, 10) is None
        feed.close()

    def test_close_twice_and_in_the_middle_is_quiet(self, feed: HistoryFeed) -> None:
        feed.next_block(2, 10)
        feed.close()
        feed.close()


def drain(feed: HistoryFeed, max_minutes: int, max_rows: int) -> list[BarBlock]:
    """All blocks of an opened feed."""
    blocks = []
    while (block := feed.next_block(max_minutes, max_rows)) is not None:
        blocks.append(block)
    return blocks


def rows_of(block: BarBlock, symbols: Sequence[str]) -> list[BarRow]:
    """A block as rows, so that tests can compare it."""
    names = [block.unknown[row] if code < 0 else symbols[code] for row, code in enumerate(block.symbol.tolist())]
    columns = (block.open_time, block.open, block.high, block.low, block.close, block.volume)
    return [BarRow(*cells) for cells in zip(names, *(column.tolist() for column in columns), strict=True)]

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratd.data.quality import StreamQuality, quality_by_symbol
from stratd.testing.bars import bars

from ...support.row_feed import RowFeed
from ...support.spine import Spine


@given(st.integers(0, 10**9), st.integers(0, 10**9))
def test_quality_is_the_share_that_came(present: int, lost: int) -> None:
    found = StreamQuality(present, lost).quality
    assert 0.0 <= found <= 1.0
    assert found == pytest.approx(present / (present + lost) if present + lost else 0.0)


def test_quality_by_symbol_counts_lost_minutes_and_not_quiet_ones() -> None:
    spine = Spine()
    rows = bars(
        """
        12:00 100
        12:01 nan 100 100 100
        12:05 100
        12:06 100
        """
    )
    feed = RowFeed(rows)
    feed.open(spine.market.symbols)
    block = feed.next_block(100, 100)
    assert block is not None
    spine.derivation.take(block)
    assert quality_by_symbol(spine.derivation) == {"AAA": StreamQuality(3, 1), "BBB": StreamQuality(0, 0)}

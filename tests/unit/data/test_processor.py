from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from stratd.core.states import State
from stratd.data.block import BarBlock
from stratd.data.intake import RejectsFile
from stratd.errors import BarrierTimeout, FeedError, SessionError
from stratd.testing.bars import nanoseconds, series

from ...support.row_feed import RowFeed
from ...support.spine import Spine
from ...support.tight import tight_memory  # noqa: F401 - a fixture for all tests here

DEADLINE = 20.0
ROWS = series([100.0 + i % 7 for i in range(60)])


class RaisingFeed(RowFeed):
    """Gives two blocks, then raises."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(ROWS)
        self._error = error
        self._given = 0

    def next_block(self, max_minutes: int, max_rows: int) -> BarBlock | None:
        self._given += 1
        if self._given > 2:
            raise self._error
        return super().next_block(max_minutes, max_rows)


class BlockingFeed(RowFeed):
    """Gives a block, then waits to be let go on."""

    def __init__(self) -> None:
        super().__init__(ROWS)
        self.reached = threading.Event()
        self.go_on = threading.Event()
        self._given = 0

    def next_block(self, max_minutes: int, max_rows: int) -> BarBlock | None:
        self._given += 1
        if self._given == 2:
            self.reached.set()
            assert self.go_on.wait(DEADLINE)
        return super().next_block(max_minutes, max_rows)


def test_run_to_the_end_publishes_everything_and_closes_the_log(tmp_path: Path) -> None:
    spine = Spine(results=tmp_path)
    assert spine.build(RowFeed(ROWS)).state is State.READY
    spine.processor.start()
    assert spine.processor.join(DEADLINE)
    processor = spine.processor
    assert (processor.state, processor.ended_by, processor.error) == (State.STOPPED, "end of feed", None)
    assert processor.bars_in == 60
    assert processor.event_time_ns == nanoseconds("2024-01-02T13:00")
    assert processor.first_bar_ns > 0
    assert spine.log.closed
    assert spine.gate.published == spine.log.length == 60 + 30 + 1  # the day's session opens
    assert not spine.rejects.written


def test_run_feed_without_rows_ends_at_once(tmp_path: Path) -> None:
    spine = Spine(results=tmp_path)
    spine.build(RowFeed([]))
    assert spine.processor.run() == "end of feed"
    assert spine.log.length == 0


def test_join_before_start_says_ended() -> None:
    spine = Spine()
    assert spine.build(RowFeed([])).join(0)


@pytest.mark.parametrize(
    "error",
    [FeedError("a.csv", "torn"), OSError(5, "Input/output error"), EOFError("cut short"), RuntimeError("odd"), AssertionError()],
)
def test_run_whatever_the_feed_raises_ends_the_session_with_its_reason(error: Exception, tmp_path: Path) -> None:
    spine = Spine(results=tmp_path)
    processor = spine.build(RaisingFeed(error))
    processor.start()
    assert processor.join(DEADLINE)
    assert (processor.state, processor.ended_by) == (State.FAULTED, "error")
    assert processor.error is error
    assert spine.log.closed  # readers work through what was published, and end
    assert spine.gate.published == spine.log.length > 0
    assert processor.bars_in == 10


def test_run_rejects_that_cannot_be_written_end_the_session(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("a file is in the way")
    spine = Spine()
    spine.rejects = RejectsFile(tmp_path / "results" / "rejects.csv")
    processor = spine.build(RowFeed([*ROWS[:2], ROWS[0]]))
    processor.start()
    assert processor.join(DEADLINE)
    assert isinstance(processor.error, SessionError)
    assert processor.state is State.FAULTED


def test_stop_while_the_feed_is_read_publishes_what_was_taken_and_no_more(tmp_path: Path) -> None:
    spine = Spine(results=tmp_path)
    feed = BlockingFeed()
    processor = spine.build(feed)
    processor.start()
    assert feed.reached.wait(DEADLINE)
    processor.stop()
    feed.go_on.set()
    assert processor.join(DEADLINE)
    assert (processor.state, processor.ended_by, processor.error) == (State.STOPPED, "stopped", None)
    assert spine.log.closed
    assert spine.gate.steps == 6  # the session's opening, and a block of 5 minutes


def test_stop_before_start_takes_nothing_in() -> None:
    spine = Spine()
    processor = spine.build(RowFeed(ROWS))
    processor.stop()
    assert processor.run() == "stopped"
    assert processor.bars_in == 0


def test_run_barrier_that_ends_the_session_is_its_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spine = Spine(results=tmp_path)
    processor = spine.build(RowFeed(ROWS))

    def refuse(segment: Any) -> bool:
        raise BarrierTimeout("one made no progress")

    monkeypatch.setattr(spine.gate, "publish", refuse)
    processor.start()
    assert processor.join(DEADLINE)
    assert isinstance(processor.error, BarrierTimeout)
    assert spine.log.closed


def test_run_gives_back_memory_that_was_kept_to_be_used_again(tmp_path: Path) -> None:
    spine = Spine(results=tmp_path, window=1)
    spine.build(RowFeed(series([100.0] * 400)))
    spine.processor.start()
    assert spine.processor.join(DEADLINE)
    assert spine.data.compactions > 2
    assert not spine.data._unused._unused

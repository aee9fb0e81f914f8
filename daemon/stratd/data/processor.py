"""DataProcessor, LOOP ONE: the only writer of market data."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from stratd.core.clock import perf_ns
from stratd.core.cores import pin_this_thread
from stratd.core.states import State
from stratd.data.block import BarBlock
from stratd.data.derivation import Derivation
from stratd.data.event_log import EventLog, Segment
from stratd.data.feed import HistoryFeed
from stratd.data.gate import Gate
from stratd.data.intake import RejectsFile

END_OF_FEED: Final = "end of feed"


class DataProcessor:
    """Takes in blocks of 1-minute bars, derives longer ones, and publishes both to the log, gated by its readers.

    Thread safety: SessionData, the log and the derivation's state belong to this thread. Others read `bars_in`,
    `event_time_ns` and `state`, and may call `stop`.

    Attributes:
        bars_in: bars taken in.
        event_time_ns: watermark, ns UTC.
        error: what ended the run, if it was an error.
        ended_by: why the loop ended.
    """

    def __init__(
        self,
        feed: HistoryFeed,
        derivation: Derivation,
        log: EventLog,
        gate: Gate,
        rejects: RejectsFile,
        block_minutes: int,
        block_rows: int,
        core: int | None,
        on_rows: Callable[[], None] = lambda: None,
    ) -> None:
        """Args:
        on_rows: called when a block's rows are in place, before they are published.
        """
        self.state = State.READY
        self.bars_in = 0
        self.event_time_ns = -1
        self.first_bar_ns = 0
        self.error: BaseException | None = None
        self.ended_by = ""
        self._feed = feed
        self._derivation = derivation
        self._log = log
        self._gate = gate
        self._rejects = rejects
        self._limits = (block_minutes, block_rows)
        self._core = core
        self._on_rows = on_rows
        self._stopping = False
        self._thread = threading.Thread(target=self._main, name="data-processor", daemon=True)

    def start(self) -> None:
        """Begin to read the feed."""
        self.state = State.RUNNING
        self._thread.start()

    def stop(self) -> None:
        """Publish nothing further; readers still work through what is published. Callable by any thread."""
        self._stopping = True
        self._gate.stop()

    def join(self, timeout_seconds: float | None = None) -> bool:
        """Wait for the loop to end. False if it has not in time."""
        if self._thread.ident is not None:
            self._thread.join(timeout_seconds)
        return not self._thread.is_alive()

    def run(self) -> str:
        """Loop one: take a block, publish what it makes. Returns why it stopped."""
        while not self._stopping and (block := self._feed.next_block(*self._limits)) is not None:
            if not self._publish(self._take_in(block)):
                return "stopped"
        if self._stopping:
            return "stopped"
        if not self._publish(self._derivation.finish()) or not self._gate.drain():
            return "stopped"
        return END_OF_FEED

    def _main(self) -> None:
        if self._core is not None:
            pin_this_thread(self._core)
        try:
            self.ended_by = self.run()
            self.state = State.STOPPED
        except Exception as error:
            # One of the loops, where everything has to be caught (a feed may raise anything): the writer's errors end the session,
            # with everything published so far worked through; `error` says why.
            self.error = error
            self.ended_by = "error"
            self.state = State.FAULTED
        finally:
            self._derivation.data.trim()
            self._log.close(complete=self.ended_by == END_OF_FEED)
            self._gate.wake_all()

    def _take_in(self, block: BarBlock) -> Segment:
        segment, codes = self._derivation.take(block)
        data = self._derivation.data
        self._rejects.keep(block, codes, data.symbols, self._feed.sources)
        self.bars_in = int(data.count[0].sum())
        self.event_time_ns = self._derivation.watermark_ns
        return segment

    def _publish(self, segment: Segment) -> bool:
        self._on_rows()
        self._log.append(segment)
        if self.first_bar_ns == 0:
            self.first_bar_ns = perf_ns()
        return self._gate.publish(segment)

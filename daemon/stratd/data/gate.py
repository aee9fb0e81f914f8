"""Gate: how far the writer may run ahead of the slowest reader."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from stratd.core.clock import perf_ns
from stratd.core.kernel import kernel
from stratd.data.event_log import Segment
from stratd.data.subscription import StreamSubscription


@kernel("void(ro i4[:], i8, i8, i8, ro i8[:], ro i8[:], i8[:])")
def mark_last(stream, start, stop, offset, first, reader, mark):  # type: ignore[no-untyped-def]  # the kernel signature is its type
    """For each reader, one past the log position of its last event among entries [start, stop); others are left as they are."""
    for i in range(start, stop):
        st = stream[i]
        for j in range(first[st], first[st + 1]):
            mark[reader[j]] = offset + i + 1


_GRACE_SECONDS: Final = 1.0
_FEW: Final = 4  # log entries
_LISTED: Final = 16  # steps published at a time, below which a list of them pays


class Gate:
    """Publishes a log's segments so that no reader is ever more than `window` steps behind (data-driven mode).

    The writer publishes up to half a window at a time: while readers work on one half it prepares the other. With a
    window of 1 every reader finishes a step before the next is published. Readers without an event in what is
    published are not woken and not waited for.

    With `at_rest` the window is 1 and every reader goes through every step, also one without events in it: else a reader that was
    woken late could still be in the step before. `at_rest` is called with a step's entries when all have handled it, before
    the next is published.

    Thread safety: used by the writer's thread. `stop` may be called by any thread. While `at_rest` runs, every reader that is not
    detached waits for the writer: it has called `done` for all that is published, does nothing between that and `take`,
    and `take` returns nothing before the writer publishes more. `handled`, which it raises last, orders what it did before what
    `at_rest` does; `published` orders that before what it does next.

    Attributes:
        timeouts: how often a reader made no progress for `barrier_timeout_seconds`.
        wait_ns: how long the writer has waited, for all readers together.
        steps, published: steps and log entries published so far.
    """

    def __init__(
        self,
        window: int,
        readers: Sequence[StreamSubscription],
        log_streams: int,
        barrier_timeout_seconds: float,
        on_timeout: Callable[[StreamSubscription], None],
        at_rest: Callable[[Segment, int, int], None] | None = None,
    ) -> None:
        if at_rest is not None and window != 1:
            raise ValueError(f"readers rest between steps only with a window of 1, not {window}")
        self.window = window
        self.timeouts = 0
        self.wait_ns = 0
        self.steps = 0
        self.published = 0
        self.stopping = False
        self._readers = tuple(readers)
        self._chunk = max(1, window // 2)
        self._timeout = barrier_timeout_seconds
        self._on_timeout = on_timeout
        self._at_rest = at_rest
        self._resting: tuple[Segment, int, int] | None = None  # the step that is out, if `at_rest` is to be called with it
        by_stream: list[list[int]] = [[] for _ in range(log_streams)]
        for number, reader in enumerate(readers):
            for stream in reader.gated:
                by_stream[stream].append(number)
        self._by_stream = by_stream
        self._first = np.cumsum([0, *(len(numbers) for numbers in by_stream)], dtype=np.int64)
        self._reader = np.array([number for numbers in by_stream for number in numbers], np.int64)
        self._mark: NDArray[np.int64] = np.zeros(len(readers), np.int64)
        self._mark_last = mark_last.load()
        # What is out: steps of each chunk, and whom it waits for up to where.
        self._out: deque[tuple[int, list[tuple[StreamSubscription, int]]]] = deque()
        self._steps_out = 0

    def publish(self, segment: Segment) -> bool:
        """Publish all of a segment, waiting for readers where the window says so.

        Returns:
            False if it was stopped before everything was published.
        """
        # Reading one number of an array is dear when it is done for every step; making a list of all, when it is not.
        steps: Sequence[int] = segment.step_end.tolist() if self._chunk < _LISTED else segment.step_end  # type: ignore[assignment]
        step = 0
        position = 0
        while step < len(steps):
            upto = min(step + self._chunk, len(steps))
            if not self._make_room(upto - step) or self.stopping:
                return False
            end = int(steps[upto - 1])
            if self._at_rest is None:
                waited_for = self._readers_of(segment, position, end)
            else:
                self._resting = segment, position, end
                waited_for = [(reader, segment.start + end) for reader in self._readers]
            segment.published = end
            self.published = segment.start + end
            # At a segment's end everybody is woken, so that a reader of quiet streams does not hold old segments for ever.
            if upto < len(steps):
                for entry in waited_for:
                    entry[0].reader.wake()
            else:
                self.wake_all()
            self._out.append((upto - step, waited_for))
            self._steps_out += upto - step
            self.steps += upto - step
            position, step = end, upto
        return True

    def _readers_of(self, segment: Segment, start: int, stop: int) -> list[tuple[StreamSubscription, int]]:
        """Who has events among entries [start, stop), and the log position that each has to reach."""
        if stop - start <= _FEW:
            # A few entries are faster gone through here than by calling a kernel.
            marks: dict[int, int] = {}
            for number, stream in enumerate(segment.stream[start:stop].tolist(), segment.start + start + 1):
                marks.update(dict.fromkeys(self._by_stream[stream], number))
            return [(self._readers[reader], mark) for reader, mark in marks.items()]
        self._mark.fill(0)
        self._mark_last(segment.stream, start, stop, segment.start, self._first, self._reader, self._mark)
        return [(reader, mark) for reader, mark in zip(self._readers, self._mark.tolist(), strict=True) if mark]

    def drain(self) -> bool:
        """Wait until readers have handled all that was published. False if stopped before."""
        return self._make_room(self.window + 1) and not self.stopping

    def stop(self) -> None:
        """Let the writer go, wherever it waits."""
        self.stopping = True
        for reader in self._readers:
            reader.gate.wake()

    def wake_all(self) -> None:
        """Wake every reader: the log has been closed."""
        for reader in self._readers:
            reader.reader.wake()

    def _make_room(self, steps: int) -> bool:
        while self._out and self._steps_out + steps > self.window:
            chunk_steps, waited_for = self._out[0]
            for reader, mark in waited_for:
                if reader.handled < mark and not self._wait_for(reader, mark):
                    return False
            self._out.popleft()
            self._steps_out -= chunk_steps
        if self._resting is not None and not self._out:
            step, self._resting = self._resting, None
            assert self._at_rest is not None  # else there is no such step
            self._at_rest(*step)
        return True

    def _wait_for(self, reader: StreamSubscription, mark: int) -> bool:
        start = perf_ns()
        seen = reader.progress
        suspected = False
        timeout = self._timeout
        try:
            while not reader.gate.wait(lambda: reader.handled >= mark or reader.detached or self.stopping, timeout):
                if reader.progress != seen:
                    suspected = False
                elif suspected:
                    self.timeouts += 1
                    self._on_timeout(reader)
                else:
                    # Perhaps it could not run: somebody else may have held the interpreter for all that time in one call of
                    # C code, and this thread too has only just got it back. Blame comes with the second look.
                    suspected = True
                seen = reader.progress
                timeout = min(self._timeout, _GRACE_SECONDS) if suspected else self._timeout
        finally:
            waited = perf_ns() - start
            self.wait_ns += waited
            reader.gate_wait_ns += waited
        return reader.handled >= mark or reader.detached

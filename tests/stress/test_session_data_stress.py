"""One writer, eight readers, memory that moves and is used again: no torn, future or rewritten row.

Every cell of a row follows from its stream and its absolute index (tests/support/raw_log.py), so a row that is half written, not
written yet, or written over by a later one does not hold what it should. The same check must catch writers that are broken on purpose.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from stratd.data.event_log import Segment
from stratd.data.gate import Gate
from stratd.data.series import BarSeries
from stratd.data.session_data import Frame
from stratd.data.subscription import NOTIFY, WATCH, Slot, StreamSubscription
from stratd.model import MINUTE_NS

from ..support.raw_log import FIELDS, RawLog, Step, cells, wrong_cells
from ..support.tight import tight_memory  # noqa: F401 - a fixture for all tests here

READERS = 8
SYMBOLS = 3
HISTORY = 40
WINDOW = 16
BLOCK = 25  # steps
BLOCKS = 80
DEADLINE = 30.0
Writer = Callable[[RawLog, Gate, list[Step], "Readers"], bool]
View = tuple[NDArray[Any], NDArray[Any], str]


@pytest.fixture(autouse=True)
def _threads_take_turns_often() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(0.0005)
    yield
    sys.setswitchinterval(before)


class Reader(threading.Thread):
    """Follows the log, and looks at everything that it is shown and has ever been shown."""

    def __init__(self, number: int, raw: RawLog) -> None:
        super().__init__(name=f"reader-{number}", daemon=True)
        self.raw = raw
        self.number = number
        streams = [(k, s) for k in (0, 1) for s in range(SYMBOLS) if number == 0 or (k + s + number) % 3]
        slots = [Slot(k, s, NOTIFY if (s + number) % 2 else WATCH, 0) for k, s in streams]
        self.subscription: StreamSubscription = raw.subscription(slots, name=self.name)
        self.series: list[BarSeries] = [raw.series(k, s, HISTORY) for k, s in streams]
        self.kept: list[View] = []
        self.wrong: list[str] = []
        self.rows = 0

    def run(self) -> None:
        try:
            self.follow()
        except BaseException as error:  # the writer must not wait for a reader that has ended
            self.wrong.append(repr(error))
            self.subscription.detach()

    def follow(self) -> None:
        while (window := self.subscription.take(self.raw.data)) is not None:
            self.work(*window)
            del window  # a frame that is held is memory that cannot be used again
            self.subscription.done()

    def work(self, frame: Frame, codes: list[int], ends: list[int]) -> None:
        for series in self.series:
            series.take_frame(frame)
        for event, (code, end) in enumerate(zip(codes, ends, strict=True)):
            series = self.series[code if code >= 0 else -1 - code]
            before = series.count
            series._hi = end
            self.rows += 1
            bar = series[-1]
            row = np.array([series.count - 1])
            k, s = series.interval_index, series.symbol_index
            if series.count != before + 1:
                self.wrong.append(f"{series}: from row {before} to {series.count}")
            if any(getattr(bar, field) != cells(field, k, s, row)[0] for field in FIELDS):
                self.wrong.append(f"{series}: row {row[0]} is {bar}")
            if event % 8 == 0:
                self.wrong += [f"{series}: column {field}" for field in wrong_cells(series)]
                self.keep(series)
        for view, expected, said in self.kept:
            if not np.array_equal(view, expected):
                self.wrong.append(f"{said} has changed")

    def keep(self, series: BarSeries) -> None:
        """Hold on to a view for a while, over many moves of the memory."""
        field = FIELDS[self.rows % len(FIELDS)]
        rows = np.arange(series.first_held, series.count)
        expected = cells(field, series.interval_index, series.symbol_index, rows)
        self.kept.append((getattr(series, field), expected, f"{field} of {series}"))
        if len(self.kept) > 30:
            del self.kept[self.rows % 30]


class Readers(list[Reader]):
    """All of them."""

    @property
    def wrong(self) -> list[str]:
        return [said for reader in self for said in reader.wrong]

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Give readers the chance to run into what is wrong."""
        event = threading.Event()
        for _ in range(200):
            if condition():
                return
            event.wait(0.005)


def steps(first: int) -> list[Step]:
    """A block: 1m bars of most symbols, 5m bars of all each five minutes."""
    made = []
    for minute in range(first, first + BLOCK):
        entries: list[tuple[int, int] | int] = [(0, s) for s in range(SYMBOLS) if (minute * 7 + s * 3) % 5]
        if minute % 5 == 4:
            entries += [(1, s) for s in range(SYMBOLS)]
        made.append(Step((minute + 1) * MINUTE_NS, tuple(entries)))
    return made


def good(raw: RawLog, gate: Gate, block: list[Step], readers: Readers) -> bool:
    return gate.publish(raw.append(block))


def publishes_before_it_writes(raw: RawLog, gate: Gate, block: list[Step], readers: Readers) -> bool:
    segment = raw.segment(block)
    raw.log.append(segment)
    published = threading.Thread(target=gate.publish, args=(segment,), daemon=True)
    published.start()
    readers.wait_until(lambda: bool(readers.wrong))
    raw.write(segment)
    published.join(DEADLINE)
    return not readers.wrong


def uses_memory_again_too_early(raw: RawLog, gate: Gate, block: list[Step], readers: Readers) -> bool:
    before = raw.data.frame
    segment: Segment = raw.append(block)
    if raw.data.frame is not before:
        # The columns of the old memory become those of rows that are written later.
        before.floats.flat[:] = -1.0
    return gate.publish(segment) and not readers.wrong


def keeps_too_little(raw: RawLog, gate: Gate, block: list[Step], readers: Readers) -> bool:
    raw.data.keep = 1
    return gate.publish(raw.append(block)) and not readers.wrong


def play(write: Writer) -> tuple[RawLog, Readers]:
    raw = RawLog(SYMBOLS, ("1m", "5m"), keep=HISTORY + WINDOW + 1)
    readers = Readers(Reader(number, raw) for number in range(READERS))
    hung: list[str] = []

    def on_timeout(reader: StreamSubscription) -> None:
        hung.append(reader.name)
        reader.detach()

    gate = Gate(WINDOW, [reader.subscription for reader in readers], raw.log_streams, DEADLINE, on_timeout)
    for reader in readers:
        reader.start()
    for block in range(BLOCKS):
        if not write(raw, gate, steps(block * BLOCK), readers):
            break
    gate.drain()
    raw.log.close()
    gate.wake_all()
    for reader in readers:
        reader.join(DEADLINE)
        assert not reader.is_alive()
    assert hung == []
    return raw, readers


def test_session_data_eight_readers_see_no_torn_future_or_rewritten_row() -> None:
    raw, readers = play(good)
    assert readers.wrong == []
    assert raw.data.compactions >= BLOCKS // 8
    assert readers[0].rows == int(raw.data.count.sum()) > BLOCKS * BLOCK * 2
    assert all(reader.rows for reader in readers)


@pytest.mark.parametrize("write", [publishes_before_it_writes, uses_memory_again_too_early, keeps_too_little])
def test_session_data_broken_writer_is_caught_by_the_same_check(write: Writer) -> None:
    _, readers = play(write)
    assert readers.wrong != []

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from stratd.errors import JournalError
from stratd.journal import reader
from stratd.journal.claim import Claim, lock_path, read_mark
from stratd.journal.entry import Entry, Head
from stratd.journal.journal import Journal
from stratd.journal.reader import read_journal

DEADLINE = 20.0


def test_read_journal_while_it_is_written_sees_only_what_is_durable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "_BATCH_ROWS", 16)
    with Journal(tmp_path / "journal.db", durable=True, session="s") as journal:

        def produce() -> None:
            for number in range(300):
                journal.wait(journal.post([Entry("a", kind, number, bytes(100)) for kind in range(2)]), DEADLINE)

        thread = threading.Thread(target=produce)
        thread.start()
        lengths: list[int] = []
        while thread.is_alive() or not lengths:
            records = list(read_journal(journal.path)) if journal.durable_ticket else []
            assert [record.sequence for record in records] == list(range(1, len(records) + 1))
            assert len(records) % 2 == 0, "half a group"
            lengths.append(len(records))
        thread.join(DEADLINE)
        assert lengths == sorted(lengths)
        assert len(list(read_journal(journal.path))) == 600


def test_read_journal_unfinished_reader_hinders_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "_BATCH_ROWS", 2)
    journal = Journal(tmp_path / "journal.db", durable=True, session="s")
    journal.open()
    assert journal.wait(journal.post([Entry("a", 1, number, b"") for number in range(5)]), DEADLINE)
    unfinished = journal.read()
    assert next(unfinished) == (1, Entry("a", 1, 0, b""))
    journal.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["journal.db", "journal.db.lock"]
    assert [number for number, _ in unfinished] == [2, 3, 4, 5]


def test_read_journal_large_payloads_come_in_small_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "_BATCH_BYTES", 1000)
    with Journal(tmp_path / "journal.db", durable=False, session="s") as journal:
        journal.post([Entry("a", 1, number, bytes(600)) for number in range(7)])
    assert len(list(read_journal(str(tmp_path / "journal.db")))) == 7


def test_read_mark_is_what_was_written_last(tmp_path: Path) -> None:
    claim = Claim(tmp_path / "journal.db")
    claim.acquire()
    assert read_mark(tmp_path / "journal.db") is None
    for head in (Head(1_000_000, 5, bytes(16)), Head(2, 1, b"0123456789abcdef")):
        claim.mark(head)
        assert read_mark(tmp_path / "journal.db") == head
    claim.release()
    claim.release()


@pytest.mark.parametrize("place", [0, 5, 20, 40])
def test_read_mark_torn_is_no_mark(tmp_path: Path, place: int) -> None:
    claim = Claim(tmp_path / "journal.db")
    claim.acquire()
    claim.mark(Head(12, 5, bytes(16)))
    claim.release()
    path = lock_path(tmp_path / "journal.db")
    content = bytearray(path.read_bytes())
    content[64 + place] ^= 1
    path.write_bytes(content)
    assert read_mark(tmp_path / "journal.db") is None


def test_acquire_twice_in_one_process_is_refused(tmp_path: Path) -> None:
    first, second = Claim(tmp_path / "journal.db"), Claim(tmp_path / "journal.db")
    first.acquire()
    with pytest.raises(JournalError, match="is being written by process"):
        second.acquire()
    first.release()
    second.acquire()
    second.release()

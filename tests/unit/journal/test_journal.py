from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stratd.errors import JournalError
from stratd.journal.entry import Entry
from stratd.journal.journal import Journal
from stratd.journal.reader import read_journal
from stratd.journal.verify import verify

from ...support.power_cut import PACKAGE

DEADLINE = 20.0
Open = Callable[..., Journal]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    """Opens journals; closes them at the end."""
    journals: list[Journal] = []

    def open_one(path: Path = tmp_path / "journal.db", *, durable: bool = True, session: str = "s") -> Journal:
        journal = Journal(path, durable=durable, session=session)
        journal.open()
        journals.append(journal)
        return journal

    yield open_one
    for journal in journals:
        journal.close()


def entry(number: int, owner: str = "a", size: int = 3) -> Entry:
    return Entry(owner, 1, number, bytes([number % 256]) * size)


@pytest.mark.parametrize("durable", [True, False])
def test_post_groups_are_read_in_order_with_their_numbers(opened: Open, durable: bool) -> None:
    journal = opened(durable=durable)
    assert [journal.post([entry(n), entry(n, "")]) for n in range(5)] == [1, 2, 3, 4, 5]
    assert journal.wait(5, DEADLINE)
    assert (journal.durable_ticket, journal.failure) == (5, None)
    assert list(journal.read()) == [(2 * n + k + 1, entry(n, "" if k else "a")) for n in range(5) for k in range(2)]


def test_post_nothing_gives_the_last_ticket(opened: Open) -> None:
    journal = opened()
    assert journal.post([]) == 0
    assert journal.post([entry(1)]) == 1
    assert journal.post([]) == 1


def test_post_many_rows_at_once_are_one_group(opened: Open) -> None:
    journal = opened()
    assert journal.wait(journal.post([entry(n) for n in range(1_000)]), DEADLINE)
    assert [record.group for record in read_journal(journal.path)] == [1] * 1_000


def test_post_a_bad_entry_leaves_nothing_of_its_group(opened: Open) -> None:
    journal = opened()
    with pytest.raises(ValueError, match="64 bits"):
        journal.post([entry(1), Entry("a", 2**64, 0, b"")])
    assert journal.wait(journal.post([entry(2)]), DEADLINE)
    assert list(journal.read()) == [(1, entry(2))]


def test_post_not_open_is_refused(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="is not open"):
        Journal(tmp_path / "j.db", durable=True, session="s").post([entry(1)])


def test_post_closed_is_refused(opened: Open) -> None:
    journal = opened()
    journal.close()
    with pytest.raises(JournalError, match="is closed"):
        journal.post([entry(1)])


def test_wait_a_ticket_that_nobody_has_is_refused(opened: Open) -> None:
    with pytest.raises(ValueError, match="there is no ticket 7: the last one is 0"):
        opened().wait(7)


def test_close_writes_what_is_queued_and_leaves_one_file(opened: Open, tmp_path: Path) -> None:
    journal = opened(durable=False)
    for n in range(100):
        journal.post([entry(n)])
    journal.close()
    journal.close()
    assert sorted(os.listdir(tmp_path)) == ["journal.db", "journal.db.lock"]
    assert len(list(read_journal(journal.path))) == 100
    assert verify(journal.path).ok


def test_open_again_goes_on_where_it_ended(opened: Open) -> None:
    first = opened()
    first.post([entry(1), entry(2)])
    first.close()
    second = opened()
    assert second.durable_ticket == 1
    assert second.post([entry(3)]) == 2
    second.close()
    assert [(record.sequence, record.group) for record in read_journal(first.path)] == [(1, 1), (2, 1), (3, 2)]
    assert verify(first.path).ok


def test_open_twice_the_second_says_who_has_it(opened: Open) -> None:
    journal = opened()
    with pytest.raises(JournalError, match=rf"is being written by process {os.getpid()}; stop it"):
        opened()
    assert journal.wait(journal.post([entry(1)]), DEADLINE)


def test_open_while_another_process_writes_is_refused(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from stratd.journal.journal import Journal\n"
        "j = Journal(Path(sys.argv[1]), durable=True, session='s'); j.open(); print('open', flush=True); sys.stdin.read()"
    )
    path = tmp_path / "journal.db"
    command = [sys.executable, "-c", script, str(path)]
    with subprocess.Popen(
        command, env=os.environ | {"PYTHONPATH": str(PACKAGE)}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "open\n"
        with pytest.raises(JournalError, match=f"process {other.pid}"):
            Journal(path, durable=True, session="s").open()
        other.kill()
        other.wait()
    with Journal(path, durable=True, session="s") as journal:  # a lock that a killed process left behind blocks nobody
        assert journal.failure is None


def test_open_of_another_session_is_refused(opened: Open) -> None:
    opened(session="mine").close()
    with pytest.raises(JournalError, match="is the journal of session 'mine', not of 'yours'"):
        opened(session="yours")


def test_open_makes_the_directories(opened: Open, tmp_path: Path) -> None:
    journal = opened(tmp_path / "a" / "b" / "j.db")
    assert journal.wait(journal.post([entry(1)]), DEADLINE)


def test_open_twice_by_the_same_object_is_refused(opened: Open) -> None:
    journal = opened()
    with pytest.raises(JournalError, match="is open already"):
        journal.open()


def test_post_batched_beyond_the_bound_waits_for_room_and_loses_nothing(opened: Open) -> None:
    journal = opened(durable=False)
    for n in range(60):
        journal.post([entry(n, size=1024 * 1024)])
        assert journal._backlog._bytes < 18 * 1024 * 1024
    assert journal.wait(60, DEADLINE)
    assert [number for number, _ in journal.read()] == list(range(1, 61))


def test_wait_many_threads_each_is_woken_when_its_own_group_is_durable(opened: Open) -> None:
    journal = opened()
    wrong: list[str] = []

    def produce(owner: str) -> None:
        for n in range(30):
            ticket = journal.post([entry(n, owner)])
            if not journal.wait(ticket, DEADLINE) or journal.durable_ticket < ticket:
                wrong.append(f"{owner} {n}")

    threads = [threading.Thread(target=produce, args=(f"p{n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE)
    assert wrong == []
    assert journal.durable_ticket == 240
    assert verify(journal.path).ok  # while it is open


groups = st.lists(st.lists(st.integers(0, 200), min_size=1, max_size=80), max_size=8)


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(groups, min_size=1, max_size=4), st.booleans())
def test_post_from_any_threads_order_within_each_is_kept_and_groups_are_whole(
    posted: list[list[list[int]]], durable: bool
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "journal.db"
        tickets: list[list[int]] = [[] for _ in posted]
        start = threading.Barrier(len(posted))

        def produce(number: int) -> None:
            start.wait(DEADLINE)
            for index, sizes in enumerate(posted[number]):
                tickets[number].append(
                    journal.post([Entry(str(number), kind, index, bytes(size)) for kind, size in enumerate(sizes)])
                )

        with Journal(path, durable=durable, session="s") as journal:
            threads = [threading.Thread(target=produce, args=(number,)) for number in range(len(posted))]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(DEADLINE)
        found: dict[int, list[Entry]] = {}
        for record in read_journal(path):
            found.setdefault(record.group, []).append(record.entry)
        assert list(found) == list(range(1, sum(map(len, posted)) + 1))
        for number, own in enumerate(tickets):
            assert own == sorted(own)
            for index, (ticket, sizes) in enumerate(zip(own, posted[number], strict=True)):
                assert found[ticket] == [Entry(str(number), kind, index, bytes(size)) for kind, size in enumerate(sizes)]
        assert verify(path).ok

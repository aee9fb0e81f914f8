from __future__ import annotations

import json
from pathlib import Path

import pytest

from stratd.execution.account_journal import BOOK, ENDED, POINTS, SESSION
from stratd.execution.session_past import pack_book
from stratd.journal.entry import Entry
from stratd.journal.journal import Journal
from stratd.system.journal_way import Way, find_way

ABOUT = {True: {"durable": True}, False: {"durable": False}, None: {}}
POINT = Entry("a", POINTS, 1, bytes(16))
OF_BOOK = Entry("", BOOK, 1, pack_book({"version": 1}))
END = Entry("", ENDED, 0, b"")


def kept(path: Path, durable: bool | None, *entries: Entry) -> Path:
    """A journal of a run or a backtest; with None of a version that did not say which."""
    with Journal(path, durable=False, session="s") as journal:
        journal.post([Entry("", SESSION, 0, json.dumps(ABOUT[durable]).encode()), *entries])
    return path


@pytest.mark.parametrize(
    ("was", "entries", "run", "backtest"),
    [
        (True, (POINT,), Way.GO_ON, Way.REFUSE),
        (True, (OF_BOOK,), Way.GO_ON, Way.REFUSE),
        (True, (POINT, END), Way.KEEP, Way.KEEP),
        (True, (), Way.ANEW, Way.REPLACE),
        (True, (END,), Way.KEEP, Way.KEEP),
        (False, (POINT,), Way.KEEP, Way.REPLACE),
        (False, (POINT, END), Way.KEEP, Way.REPLACE),
        (False, (), Way.KEEP, Way.REPLACE),
        (None, (POINT,), Way.KEEP, Way.REPLACE),
    ],
)
def test_find_way_depends_on_what_was_kept_and_who_comes(
    tmp_path: Path, was: bool | None, entries: tuple[Entry, ...], run: Way, backtest: Way
) -> None:
    path = kept(tmp_path / "j.db", was, *entries)
    assert (find_way(path, durable=True)[0], find_way(path, durable=False)[0]) == (run, backtest)


def test_find_way_without_a_journal_or_without_entries_is_anew(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    assert find_way(path, durable=True)[0] is Way.ANEW
    with Journal(path, durable=True, session="s"):
        pass
    for durable in (True, False):
        assert find_way(path, durable)[0] is Way.ANEW

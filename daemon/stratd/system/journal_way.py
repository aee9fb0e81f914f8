"""Which way a run takes with the journal that it finds: it is gone on with, kept, replaced, or in the way."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import Final

from stratd.errors import JournalError
from stratd.execution.session_past import SessionPast, read_session
from stratd.journal.claim import Claim, lock_path
from stratd.journal.journal import Journal
from stratd.journal.reader import read_journal
from stratd.journal.store import sync_directory

_BESIDE: Final = ("", "-wal", "-shm", ".lock")


class Way(StrEnum):
    """What becomes of a journal that is there."""

    ANEW = "anew"  # nothing is there, or nothing that would be lost: it is begun, or begun in
    GO_ON = "go on"
    KEEP = "keep"  # under another name
    REPLACE = "replace"
    REFUSE = "refuse"


def find_way(path: Path, durable: bool) -> tuple[Way, SessionPast]:
    """What a run would do with the journal at `path`, and what it says. Changes nothing.

    Args:
        durable: whether it is a run, and not a backtest.

    Raises:
        JournalError: it cannot be read.
    """
    if not path.exists():
        return Way.ANEW, SessionPast()
    past = read_session((record.sequence, record.entry) for record in read_journal(path))
    return _way(past, durable), past


def is_empty(past: SessionPast) -> bool:
    """Whether nothing has happened in a run: it failed at its start, or no strategy has acted. Nothing depends on it."""
    return not past.pasts and past.book_time < 0


def _way(past: SessionPast, durable: bool) -> Way:
    if past.about is None:
        return Way.ANEW
    if not past.durable:
        return Way.KEEP if durable else Way.REPLACE
    if past.ended:
        return Way.KEEP
    if is_empty(past):
        return Way.ANEW if durable else Way.REPLACE
    return Way.GO_ON if durable else Way.REFUSE


def refusal(path: Path) -> JournalError:
    """Why a backtest does not begin."""
    return JournalError(
        "holds a run of this session that has not ended, and a backtest would replace it; let it end (stratd run SESSION), or give "
        "the backtest a directory of its own (--results-dir DIR)",
        path=str(path),
    )


def make_way(path: Path, durable: bool) -> None:
    """Make way for a new journal where the one that is there is not to be gone on with, unless somebody writes it.

    Raises:
        JournalError: it is being written, or is of a run that has not ended and that a backtest would replace.
    """
    try:
        way, past = find_way(path, durable)
    except JournalError:
        if durable:
            return  # to open it says what is wrong, or takes back what a crash has left of its first transaction: a reader cannot
        way, past = Way.KEEP, SessionPast()  # whatever it is, it is kept
    if way is Way.REFUSE:
        raise refusal(path)
    if way not in (Way.KEEP, Way.REPLACE):
        return
    if way is Way.KEEP and past.about is not None and "session" in past.about:
        _bring_together(path, past.about["session"])
    claim = Claim(path)
    claim.acquire()
    try:
        if way is Way.KEEP:
            _set_aside(path)
        elif past.durable and find_way(path, durable)[0] is not way:
            # Its run has begun, and has been cut off, since it was read.
            raise refusal(path)
        else:
            _unlink(path)
    finally:
        claim.release()


def _unlink(path: Path) -> None:
    """Remove a claimed journal. The mark in the lock's file goes first: with it, what a crash leaves here would count as damaged for ever."""
    os.truncate(lock_path(path), 0)
    for ending in _BESIDE:
        path.with_name(path.name + ending).unlink(missing_ok=True)


def _bring_together(path: Path, session: str) -> None:
    """Have all of a journal in one file. Its process may have been killed before it did that itself, and what is moved one after the other
    must not need each other: a crash in between would leave half a journal.

    Raises:
        JournalError: it is being written or read, or is damaged.
    """
    with Journal(path, durable=True, session=session):
        pass
    log = path.with_name(path.name + "-wal")
    if log.exists() and log.stat().st_size:
        raise JournalError("cannot be set aside while another program reads it; close that program", path=str(path))


def _set_aside(path: Path) -> None:
    """Keep a finished journal under the next free number.

    The lock's file goes first, for good: with its mark and without the journal, what a crash leaves here would count as damaged. Without it
    the journal is found once more, and set aside.
    """
    number = 1
    while (kept := path.with_name(f"{path.stem}.{number}{path.suffix}")).exists():
        number += 1
    for ending in (".lock", "-wal", "-shm", ""):
        beside = path.with_name(path.name + ending)
        if beside.exists():
            beside.rename(kept.with_name(kept.name + ending))
            sync_directory(path.parent)

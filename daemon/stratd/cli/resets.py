"""stratd resume --strategy, --book: a person lets trade again what a running limit has stopped."""

from __future__ import annotations

import getpass
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from stratd.cli.places import SessionPlace
from stratd.cli.running import writer_of
from stratd.core.clock import SystemClock
from stratd.core.names import nearest
from stratd.errors import SessionError, UsageError
from stratd.execution.account_journal import RESET, unpack_state
from stratd.execution.records import TRADING_STATES
from stratd.execution.resets import Reset
from stratd.execution.session_past import SessionPast, read_session, stopped_by
from stratd.journal.entry import Entry
from stratd.journal.journal import Journal
from stratd.journal.reader import read_journal
from stratd.model import MONEY, TradingState
from stratd.portfolio.cells import BY_BOOK_RISK, C_CASH, C_VALUE

_WAIT_SECONDS: Final = 30.0


def ask_for_resets(place: SessionPlace, strategies: Sequence[str], book: bool, reason: str) -> list[str]:
    """Note in a session's journal that accounts, or its book, are to be active from its next start on.

    Args:
        strategies: names of those whose own limits have stopped them.
        book: whether the book is meant, and with it all accounts that it has stopped.
        reason: why; may be empty.

    Returns:
        What was noted, in lines.

    Raises:
        UsageError: a strategy is unknown.
        SessionError: the session runs, begins anew anyway, or what is meant is not stopped.
        JournalError: the journal cannot be read or written.
    """
    past = _read(place)
    assert past.about is not None  # else it was refused
    at, by = SystemClock().now_ns(), _user()
    entries: list[Entry] = []
    lines: list[str] = []
    for name in dict.fromkeys(strategies):
        state, why, code = _stopped(past, name, place)
        if code == BY_BOOK_RISK:
            raise SessionError(f"{name} is {state} because the book is: reset the book, with --book")
        entries.append(Entry(name, RESET, past.pasts[name].time, Reset(by=by, at=at, reason=reason, state=str(state)).pack()))
        lines.append(f"{name} is active from the next start on (it is {state}: {why}); its day and its highest equity begin anew "
                     f"from {_equity(past, name):,.2f}")  # fmt: skip
    if book:
        entries_of_book, line = _book(past, place, Reset(by=by, at=at, reason=reason))
        entries += entries_of_book
        lines.append(line)
    with Journal(place.journal, durable=True, session=str(past.about["session"])) as journal:
        if not journal.wait(journal.post(entries), _WAIT_SECONDS):
            raise SessionError(f"{place.journal}: nothing is reset: {journal.failure or 'the disk does not answer'}")
    return lines


def _read(place: SessionPlace) -> SessionPast:
    """What the journal knows, if there is something in it that is gone on with."""
    process = writer_of(place.journal)
    if process is not None:
        raise SessionError(
            f"process {process} runs {place.name} now, and a reset is taken in at a start: stop it (kill -TERM {process}), reset, and start "
            "it again. What must not wait: stratd halt stops all trading at once"
        )
    if not place.journal.exists():
        raise SessionError(f"{place.journal}: no such file, so nothing of {place.name} is stopped; is --results-dir missing?")
    past = read_session((record.sequence, record.entry) for record in read_journal(place.journal))
    if past.about is None or past.ended or not past.durable:
        why = "is of a backtest" if past.about is not None and not past.durable else "is of a session that has come to its end"
        raise SessionError(f"{place.journal}: {why}, so its next run begins anew, with everything active; nothing is to be reset")
    return past


def _stopped(past: SessionPast, name: str, place: SessionPlace) -> tuple[TradingState, str, int]:
    """In which state a strategy's account is, and why; refused where it is active."""
    if name not in past.pasts:
        near = nearest(name, past.pasts)
        raise UsageError(
            f"--strategy {name}: nothing of a strategy of this name was recorded in {place.journal}"
            + (f"; did you mean {near!r}?" if near else "")
            + f" (there are: {', '.join(sorted(past.pasts)) or 'none'})"
        )
    if name in past.resets:
        raise SessionError(f"{name} was reset already, by {past.resets[name].words}: it is active from the next start on")
    found = stopped_by(past.pasts[name])
    if found[0] is TradingState.ACTIVE:
        raise SessionError(f"{name} is active: no limit has stopped it, so there is nothing to reset")
    return found


def _book(past: SessionPast, place: SessionPlace, reset: Reset) -> tuple[list[Entry], str]:
    """Resets of the book and of the accounts that it has stopped, and what comes of it."""
    if "" in past.resets:
        raise SessionError(f"the book was reset already, by {past.resets[''].words}: it is active from the next start on")
    stopped = {
        name: stopped_by(one)
        for name, one in past.pasts.items()
        if name not in past.resets and stopped_by(one)[2] == BY_BOOK_RISK and stopped_by(one)[0] is not TradingState.ACTIVE
    }
    if past.book is None and not stopped:
        raise SessionError(f"{place.journal}: nothing of a book was recorded, so there is none to reset")
    number = 0 if past.book is None else past.book["monitor"]["state"]
    if not number and not stopped:
        raise SessionError("the book is active: no limit has stopped it, so there is nothing to reset")
    state = str(TRADING_STATES[number]) if number else next(str(found[0]) for found in stopped.values())
    asked = Reset(by=reset.by, at=reset.at, reason=reset.reason, state=state)
    entries = [Entry(name, RESET, past.pasts[name].time, asked.pack()) for name in stopped]
    line = f"the book is active from the next start on (it is {state})"
    if past.book is not None:
        entries.append(Entry("", RESET, past.book_time, asked.pack()))
        line += f"; its day and its highest equity begin anew from {past.book['monitor']['equity'] / MONEY:,.2f}"
    return entries, line + (f"; so are {', '.join(stopped)}" if stopped else "")


def _equity(past: SessionPast, name: str) -> float:
    _, (cells, *_) = unpack_state(past.pasts[name].state)
    return (int(cells[C_CASH]) + int(cells[C_VALUE])) / MONEY


def _user() -> str:
    """Who asks."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container may know its users by number alone
        return f"user {os.getuid()}"


def kill_switch_line(file: Path, again: str) -> list[str]:
    """What else keeps the session from trading."""
    return [f"its kill switch is thrown as well: stratd resume {again}"] if file.exists() else []

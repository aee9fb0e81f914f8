"""The journal of one run of a session: opened afresh, or read and gone on with after a crash."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from stratd.core.clock import Clock, utc_text
from stratd.errors import JournalError
from stratd.execution.account_journal import ENDED, SESSION, AccountJournal, Past, read_past, unpack_state
from stratd.execution.terms import TradingTerms
from stratd.journal.claim import Claim, lock_path
from stratd.journal.entry import Entry
from stratd.journal.journal import Journal
from stratd.journal.reader import read_journal
from stratd.journal.store import sync_directory
from stratd.model import MONEY
from stratd.portfolio.cells import C_CASH, C_ORDERS, C_VALUE, O_PLACE, P_LOTS, P_SYMBOL
from stratd.strategy.thread import StrategyThread
from stratd.system.config import SessionConfig
from stratd.system.result import RunOptions

FILE_NAME: Final = "journal.sqlite3"
_BESIDE: Final = ("", "-wal", "-shm", ".lock")


def journal_path(config: SessionConfig, results: Path) -> Path:
    """Where a session's journal is."""
    if config.journal.path is not None:
        return Path(config.journal.path).expanduser()
    return results / config.session_name / FILE_NAME


@dataclass(slots=True)
class SessionJournal:
    """A session's journal, open, and what it knew when it was opened.

    Attributes:
        durable: whether what is decided is on the disk before anybody acts on it.
        pasts: by strategy, of the run that this one goes on with; empty for a new run.
        plan: what becomes of each of them, in words.
    """

    journal: Journal
    durable: bool
    pasts: dict[str, Past]
    plan: list[str]

    def attach(self, threads: Sequence[StrategyThread], on_restart: str, caretakers: Mapping[str, str]) -> None:
        """Give every account its way to the journal, and have it go on where it stopped.

        Args:
            on_restart: how strategies go on: "resume", "flatten" or "hold".
            caretakers: threads that stand in for strategies that are gone, by name, and how these go on.

        Raises:
            JournalError: a checkpoint cannot be read, or a strategy's restore_state raised.
        """
        for thread in threads:
            account = thread.account
            assert account is not None  # every strategy of a session has one
            account.journal = AccountJournal(self.journal, thread.name, self.durable)
            past = self.pasts.get(thread.name)
            if past is not None and past.time >= 0:
                self._resume(thread, past, caretakers.get(thread.name, on_restart))

    def _resume(self, thread: StrategyThread, past: Past, how: str) -> None:
        try:
            thread.resume(past, how)
        except Exception as error:
            # The strategy's restore_state may raise anything. Nothing has been written, so the journal can be gone on with later.
            self.journal.close()
            if isinstance(error, JournalError):
                raise
            raise JournalError(
                f"strategy {thread.name} cannot take back what it kept at {utc_text(past.time)} ({type(error).__name__}: {error}); "
                "mend its restore_state, or move the journal away to begin a new one",
                path=str(self.journal.path),
            ) from error

    def close(self, finished: bool) -> None:
        """Write what is queued. `finished`: the session has come to its end, so that a later run begins anew.

        Raises:
            JournalError: something could not be written.
        """
        if finished:
            self.journal.post([Entry("", ENDED, 0, b"")])
        self.journal.close()


def open_journal(
    config: SessionConfig, options: RunOptions, results: Path, terms: TradingTerms, clock: Clock
) -> SessionJournal | None:
    """Open the journal of a run; None where the session keeps none.

    A durable one is gone on with if its session had not ended; a finished one is kept beside it, under another name. One that is not
    durable (a backtest) replaces what was there.

    Raises:
        JournalError: it cannot be opened or read, or belongs to a session with other symbols.
    """
    if not config.journal.enabled:
        return None
    path = journal_path(config, results)
    durable = options.durable if config.journal.durable is None else config.journal.durable
    about = {
        "symbols": list(terms.symbols),
        "ticks": [entry.tick for entry in terms.instruments],
        "lots": [entry.lot for entry in terms.instruments],
        "session": config.session_name,
        "durable": durable,
        "capital": {entry.name: config.account_rules(entry).allocated_capital for _, entry in config.enabled_strategies},
    }
    _make_way(path, durable)
    journal = Journal(path, durable=durable, session=config.session_name, clock=clock)
    journal.open()
    try:
        session, pasts = read_past(journal.read())
        if session is None:
            journal.post([Entry("", SESSION, 0, json.dumps(about).encode())])
        else:
            check_same(session, about, path)
    except BaseException:
        journal.close()
        raise
    return SessionJournal(journal, durable, pasts, restart_plan(pasts, terms, config))


def check_same(session: dict[str, Any], about: dict[str, Any], path: Path) -> None:
    changed = [key for key in ("symbols", "ticks", "lots") if session.get(key) != about[key]]
    if changed:
        raise JournalError(
            f"was kept with other {' and '.join(changed)} than the session has now, so what it says cannot be gone on with; "
            "put them back, or move the journal away to begin a new one",
            path=str(path),
        )


def _open_symbols(past: Past) -> set[int]:
    """Indices of the symbols in which a strategy has a position or an order."""
    if past.time < 0:
        return set()
    _, (_, orders, _, positions, *_) = unpack_state(past.state)
    held = positions[positions[:, P_LOTS] != 0, P_SYMBOL]
    return {*held.tolist(), *positions[orders[:, O_PLACE], P_SYMBOL].tolist()}


def orphans(pasts: Mapping[str, Past], terms: TradingTerms, names: Collection[str]) -> dict[str, tuple[str, ...]]:
    """Strategies that have left something open and are not among `names`; each with the symbols in which it has."""
    return {
        name: tuple(terms.symbols[number] for number in sorted(_open_symbols(past)))
        for name, past in pasts.items()
        if name not in names and _open_symbols(past)
    }


def restart_plan(pasts: Mapping[str, Past], terms: TradingTerms, config: SessionConfig) -> list[str]:
    """What becomes of each strategy that a journal knows, in words."""
    names = [entry.name for _, entry in config.enabled_strategies]
    lines = [
        _plan_line(name, past, terms, config.journal.on_restart)
        for name, past in pasts.items()
        if past.time >= 0 and name in names
    ]
    does = {"alert": "it is left as it is", "close": "it is closed", "adopt": "it is kept, and marked"}[config.journal.on_orphan]
    return lines + [
        f"{name} is not in the session any more and has left something open in {', '.join(symbols)}: {does}"
        for name, symbols in orphans(pasts, terms, names).items()
    ]


def _plan_line(name: str, past: Past, terms: TradingTerms, on_restart: str) -> str:
    _, (cells, _, _, positions, *_) = unpack_state(past.state)
    held = [f"{int(row[P_LOTS])} lots of {terms.symbols[int(row[P_SYMBOL])]}" for row in positions if row[P_LOTS]]
    equity = (int(cells[C_CASH]) + int(cells[C_VALUE])) / MONEY
    does = {"resume": "goes on", "flatten": "closes everything and goes on", "hold": "keeps everything and takes no new order"}[
        on_restart
    ]
    return (
        f"{name} {does} after {utc_text(past.time)} with {', '.join(held) or 'no position'}, {int(cells[C_ORDERS])} working orders "
        f"and equity {equity:,.2f}"
    )


def _make_way(path: Path, durable: bool) -> None:
    """Make way for a new journal where the one that is there is not to be gone on with, unless somebody writes it.

    Raises:
        JournalError: it is being written, or is of a run that has not ended and that a backtest would replace.
    """
    if not path.exists():
        return
    try:
        session, _ = read_past((record.sequence, record.entry) for record in read_journal(path))
    except JournalError:
        if durable:
            return  # to open it says what is wrong, or takes back what a crash has left of its first transaction: a reader cannot
        session = {"durable": True, "ended": True}  # whatever it is, it is kept
    if session is None:
        return
    open_run = bool(session.get("durable")) and not session.get("ended")
    if open_run and durable:
        return
    if open_run:
        raise JournalError(
            "holds a run of this session that has not ended, and a backtest would replace it; let it end (stratd run SESSION), or give "
            "the backtest a directory of its own (--results-dir DIR)",
            path=str(path),
        )
    if "session" in session and (session.get("durable") or durable):
        _bring_together(path, session["session"])
    claim = Claim(path)
    claim.acquire()
    try:
        if session.get("durable") or durable:
            _set_aside(path)
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

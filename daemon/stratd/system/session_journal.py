"""The journal of one run of a session: opened afresh, or read and gone on with after a crash."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from stratd.core.clock import Clock, utc_text
from stratd.errors import JournalError
from stratd.execution.account import Account
from stratd.execution.account_journal import BOOK, CHECKPOINT, ENDED, SESSION, WAIT_SECONDS, AccountJournal, Past, unpack_state
from stratd.execution.book import Book
from stratd.execution.book_journal import BookJournal, StepJournal
from stratd.execution.resets import reset_account
from stratd.execution.session_past import SessionPast, read_session
from stratd.execution.terms import TradingTerms
from stratd.journal.entry import Entry
from stratd.journal.journal import Journal
from stratd.strategy.thread import StrategyThread
from stratd.system.config import SessionConfig
from stratd.system.journal_way import is_empty, make_way
from stratd.system.restart_plan import orphans, restart_plan
from stratd.system.result import RunOptions
from stratd.system.session_terms import changes, check_same, describe, together

FILE_NAME: Final = "journal.sqlite3"
_log = structlog.get_logger("stratd.session")


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
        past: of the run that this one goes on with; empty for a new run.
        plan: what becomes of it, in words.
        terms: what its numbers mean.
        book: what strategies share; None where they share nothing.
    """

    journal: Journal
    durable: bool
    past: SessionPast
    plan: list[str]
    terms: TradingTerms
    book: Book | None = None
    _book_told: bool = False

    def attach(
        self, threads: Sequence[StrategyThread], on_restart: str, caretakers: Mapping[str, str], book: Book | None = None
    ) -> None:
        """Give every account its way to the journal, and have it go on where it stopped. What a person has reset is reset.

        Args:
            on_restart: how strategies go on: "resume", "flatten" or "hold".
            caretakers: threads that stand in for strategies that are gone, by name, and how these go on.
            book: what strategies share.

        Raises:
            JournalError: a checkpoint cannot be read, a strategy's restore_state raised, or a reset could not be written.
        """
        self.book = book
        parts = []
        for thread in threads:
            account = _account(thread)
            if book is not None and self.durable:
                step = StepJournal(self.journal, thread.name, thread.subscription)
                account.journal = step
                parts.append((account, step))
            else:
                account.journal = AccountJournal(self.journal, thread.name, self.durable)
            past = self.past.pasts.get(thread.name)
            if past is not None and past.time >= 0:
                self._resume(thread, past, caretakers.get(thread.name, on_restart))
        if book is not None and self.durable:
            book.journal = BookJournal(self.journal, parts, [thread.subscription for thread in threads])
            if self.past.book is not None:
                book.restore(self.past.book, self.past.book_time)
        self._reset(threads)

    def _resume(self, thread: StrategyThread, past: Past, how: str) -> None:
        account = _account(thread)
        try:
            thread.resume(past, how)
            if isinstance(account.journal, StepJournal):
                values, (*_, untold) = unpack_state(past.state)
                account.journal.begin((values["strategy"],), len(untold))
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

    def _reset(self, threads: Sequence[StrategyThread]) -> None:
        """Do what a person has asked for, and have it on the disk before anything else is."""
        asked = self.past.resets
        entries: list[Entry] = []
        for thread in threads:
            past, account = self.past.pasts.get(thread.name), _account(thread)
            if thread.name not in asked or past is None or past.time < 0:
                continue
            _log.warning("a person has reset an account", strategy=thread.name, by=asked[thread.name].words)
            reset_account(account)
            values, _ = unpack_state(past.state)
            if isinstance(account.journal, StepJournal):
                entries += account.journal.collect(account, past.time)
            elif (failure := account.commit(past.time, values["strategy"])) is not None:
                raise JournalError(f"a reset cannot be written: {failure}", path=str(self.journal.path))
        if "" in asked and self.past.book is not None and self.book is not None:
            _log.warning("a person has reset the book", by=asked[""].words)
            self.book.reset()
            entries.append(Entry("", BOOK, self.past.book_time, self.book.packed()))
        if entries and self.book is not None and self.book.journal is not None:
            failure = self.book.journal.post(entries)
            if failure is not None:
                raise JournalError(f"a reset cannot be written: {failure}", path=str(self.journal.path))

    def left_open(self, names: Collection[str], ended: Collection[str]) -> dict[str, tuple[str, ...]]:
        """Who has left something open that nobody has brought to an end; each with the symbols in which. Nobody in a backtest, whose end
        is its end.

        Asked of the journal, because that is what the next start finds: accounts may belong to threads that hang.

        Args:
            names: of strategies that were run, caretakers among them.
            ended: of these, which came to the session's end.

        Raises:
            JournalError: something could not be written, or read.
        """
        suspects = {*names, *self.past.pasts}.difference(ended)
        if not self.durable or not suspects:
            return {}
        self._tell_of_book()
        if not self.journal.wait(self.journal.post([]), WAIT_SECONDS):
            failure = self.journal.failure or f"the journal did not become durable within {WAIT_SECONDS:g} s"
            raise JournalError(f"it cannot be told what is left open: {failure}", path=str(self.journal.path))
        pasts: dict[str, Past] = {}
        for _, one in self.journal.read():
            if one.kind == CHECKPOINT and one.owner in suspects:
                pasts[one.owner] = Past(time=one.time, state=one.payload)
        return orphans(pasts, self.terms, ended)

    def close(self, finished: bool) -> None:
        """Write what is queued. `finished`: the session has come to its end, so that a later run begins anew.

        Raises:
            JournalError: something could not be written.
        """
        self._tell_of_book()
        if finished:
            self.journal.post([Entry("", ENDED, 0, b"")])
        self.journal.close()

    def _tell_of_book(self) -> None:
        """Queue the book's last entry, once."""
        book = self.book
        if book is None or book.settled < 0 or self._book_told:
            return
        self._book_told = True
        if book.journal is not None:
            book.journal.close(book.settled, book.packed())
        else:
            self.journal.post([Entry("", BOOK, book.settled, book.packed())])


def _account(thread: StrategyThread) -> Account:
    assert thread.account is not None  # every strategy of a session has one
    return thread.account


def open_journal(
    config: SessionConfig,
    options: RunOptions,
    results: Path,
    terms: TradingTerms,
    clock: Clock,
    loaded: Collection[str] | None = None,
) -> SessionJournal | None:
    """Open the journal of a run; None where the session keeps none.

    A durable one is gone on with if its session had not ended; a finished one is kept beside it, under another name. One that is not
    durable (a backtest) replaces what was there. One in which nothing has happened is in nobody's way.

    Args:
        loaded: names of the session's strategies that can be run; None for all of them.

    Raises:
        JournalError: it cannot be opened or read, or belongs to a session with other symbols.
    """
    if not config.journal.enabled:
        return None
    path = journal_path(config, results)
    durable = options.durable if config.journal.durable is None else config.journal.durable
    about = describe(config, terms, durable)
    make_way(path, durable)
    journal = Journal(path, durable=durable, session=config.session_name, clock=clock)
    journal.open()
    try:
        past = read_session(journal.read())
        changed = []
        if past.about is None or is_empty(past):
            # Where nothing has happened, nothing has a meaning that could be another now.
            if past.about != about:
                journal.post([Entry("", SESSION, 0, json.dumps(about).encode())])
        else:
            check_same(past.about, about, path)
            changed = changes(past.about, about)
            about = together(past.about, about)
            if {**about, "changed": past.about.get("changed", [])} != {"changed": [], **past.about}:
                journal.post([Entry("", SESSION, 0, json.dumps({**about, "changed": changed}).encode())])
            for line in changed:
                _log.warning("a rule of the session is not what it was before the restart", change=line)
    except BaseException:
        journal.close()
        raise
    if loaded is None:
        loaded = [entry.name for _, entry in config.enabled_strategies]
    return SessionJournal(journal, durable, past, restart_plan(past, terms, config, changed, loaded), terms)

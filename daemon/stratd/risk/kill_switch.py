"""KillSwitch: a file that stops trading."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, Protocol

import structlog

FILE_NAME: Final = "HALT"
_LONGEST: Final = 500  # characters of a reason


class Stoppable(Protocol):
    """The part of an account that a kill switch needs. Both may be called by any thread."""

    def throw_kill_switch(self) -> None:
        """Let no new order through, and cancel open ones as soon as it is moved."""

    def release_kill_switch(self) -> None:
        """Let orders through again."""


class KillSwitch:
    """Stops all accounts of a session while a file is there; what the file says is the reason.

    No new order is let through from the moment at which `check` has seen it, and open orders are cancelled when their account is next
    moved, and stay cancelled. Positions are kept. Without the file orders are let through again. A file that cannot be looked
    at counts as one that is there: a switch that does not know must be off.

    Thread safety: `check` is called by one thread, the one that runs the session; accounts take both calls from any. Others read
    `reason` and `count`.

    Attributes:
        path: the file.
        reason: why it is thrown; None while it is not.
        count: how often it was thrown. A data-driven run in which it was is not deterministic: a wall clock had a say.
    """

    def __init__(self, path: Path, accounts: Iterable[Stoppable], log: Any = None) -> None:
        self.path = path
        self.reason: str | None = None
        self.count = 0
        self._accounts = tuple(accounts)
        self._log = structlog.get_logger("stratd.risk") if log is None else log

    def check(self) -> bool:
        """Look whether the file is there, and act if that has changed. Cheap: one call of the system while it is not.

        Returns:
            Whether the switch is thrown.
        """
        there = self._is_there()
        if there and self.reason is None:
            # First the orders, then the words.
            for account in self._accounts:
                account.throw_kill_switch()
            self.reason = self._read()
            self.count += 1
            self._log.error(
                "the kill switch is thrown: no order is let through, open orders are cancelled; remove the file to go on",
                file=str(self.path),
                reason=self.reason,
            )
        elif not there and self.reason is not None:
            self.reason = None
            for account in self._accounts:
                account.release_kill_switch()
            self._log.warning("the kill switch is released: orders are let through again", file=str(self.path))
        return self.reason is not None

    def _is_there(self) -> bool:
        try:
            self.path.lstat()
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError:
            return True
        return True

    def _read(self) -> str:
        try:
            # Not waiting: if somebody has made it a pipe, there is nothing to read.
            with open(self.path, encoding="utf-8", errors="replace", opener=_without_waiting) as file:
                return file.read(_LONGEST).strip() or "no reason given"
        except OSError as error:
            return f"no reason can be read: {error.strerror or error}"


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)

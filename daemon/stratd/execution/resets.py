"""Resets: a person lets an account, or the book, that a running limit has stopped trade again."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from stratd.core.clock import utc_text
from stratd.errors import JournalError
from stratd.execution.account import Account
from stratd.portfolio import cells as c
from stratd.portfolio.ledger import new_record


@dataclass(frozen=True, slots=True, kw_only=True)
class Reset:
    """What a person has asked for, to be done at the next start.

    Attributes:
        by: the user's name. `at`: by the machine's clock, ns UTC.
        reason: why; may be empty.
        state: trading state at that time.
    """

    by: str
    at: int
    reason: str = ""
    state: str = ""

    @property
    def words(self) -> str:
        """Who, when and why."""
        return f"{self.by} at {utc_text(self.at)}" + (f": {self.reason}" if self.reason else "")

    def pack(self) -> bytes:
        """As the journal keeps it."""
        return json.dumps({**asdict(self), "version": 1}).encode()


def unpack_reset(payload: bytes) -> Reset:
    """What `pack` packed.

    Raises:
        JournalError: it is no reset.
    """
    try:
        said: dict[str, Any] = json.loads(payload)
        return Reset(by=str(said["by"]), at=int(said["at"]), reason=str(said["reason"]), state=str(said["state"]))
    except (ValueError, KeyError, TypeError) as error:
        raise JournalError(f"a reset cannot be read ({error}); run: stratd journal verify") from error


def reset_account(account: Account) -> None:
    """Let an account trade again, before it is moved: its highest equity and its day begin anew from what it has, and no trade was lost.

    What is true at this moment is not undone by that: an account beyond its exposure limit is stopped again at the next step.
    """
    cells, *_, records, _ = account.tables()
    equity = cells.item(c.C_CASH) + cells.item(c.C_VALUE)
    cells[c.C_STATE], cells[c.C_SOLD_OUT] = c.ACTIVE, c.BY_PERSON
    cells[[c.C_PEAK, c.C_DAY_START]] = equity
    cells[c.C_LOSSES] = 0
    at = int(new_record(cells, records, c.RISK))
    records[at, c.R_TIME], records[at, c.R_MONEY] = cells[c.C_TIME], equity
    records[at, c.R_A], records[at, c.R_B] = c.ACTIVE, c.BY_PERSON

"""Crossings: how many lots strategies have settled between them, and what they were worth."""

from __future__ import annotations

from collections.abc import Sequence

from stratd.core.kernel import kernel
from stratd.execution import book_orders as b
from stratd.execution.account import Account
from stratd.portfolio.cells import C_RECORDS, FILL, R_C, R_KIND, R_LOTS, R_ORDER


@kernel("i8(ro i8[:,:], i8, i8)")
def first_fill(records, count, order):  # type: ignore[no-untyped-def]  # the kernel signature is its type
    """Row of an order's first fill among `count` records; -1 if there is none."""
    for i in range(count):
        if records[i, R_KIND] == FILL and records[i, R_ORDER] == order:
            return i
    return -1


class Crossings:
    """Counts what has crossed, from the fills of orders that were marked to.

    Both sides of a crossing fill in one step, each first with the lots that cross. An order that was marked and has no fill has been
    cancelled, or its bar has not come: then it is marked anew.

    Thread safety: belongs to the data-processor, as the book does.

    Attributes:
        lots: by symbol's index, lots that went from one strategy to another: each of them was bought and sold.
        notional: what they were worth, in units of money.
    """

    __slots__ = ("_first_fill", "_marked", "lots", "notional")

    def __init__(self) -> None:
        self.lots: dict[int, int] = {}
        self.notional = 0
        self._marked: list[tuple[int, int, int, int]] = []  # member, order, symbol, side
        self._first_fill = first_fill.load()

    def mark(self, rows: Sequence[Sequence[int]], accounts: Sequence[Account], id_column: int) -> None:
        """Orders that cross and have not filled, in place of those that were marked before.

        Args:
            rows: as `book_orders.gather` writes them.
            id_column: of an account's orders.
        """
        self._marked = [
            (
                row[b.M_MEMBER],
                accounts[row[b.M_MEMBER]].orders.item(row[b.M_ROW], id_column),
                row[b.M_SYMBOL],
                row[b.M_SIDE],
            )
            for row in rows
            if row[b.M_CROSSED]
        ]

    def count(self, accounts: Sequence[Account]) -> None:
        """Strategies have filled: count those of the marked orders that are among them."""
        found: dict[int, dict[int, tuple[int, int]]] = {}
        for member, order, symbol, side in self._marked:
            account = accounts[member]
            at = self._first_fill(account.records, account.cells.item(C_RECORDS), order)
            if at >= 0:
                lots, notional = found.setdefault(symbol, {}).get(side, (0, 0))
                row = account.records[at].tolist()
                found[symbol][side] = lots + row[R_LOTS], notional + row[R_C]
        for symbol, sides in found.items():
            # The same on both sides; if one account's records have been taken away already, the other's say it.
            lots, notional = max(sides.values())
            self.lots[symbol] = self.lots.get(symbol, 0) + lots
            self.notional += notional
        if found:
            self._marked = []

"""What a book costs: W2's moving average cross with orders, in a book with a drawdown limit, against the same without one.

    python bench/book.py

A session with a book is gated step by step. Nothing nets and no limit is met, so that both must come to the same fills. That
orders go through the book at all is asked of one that refuses every order.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Final

import orders
import support
import w2
import workloads

RATIO: Final = 0.4
CLOSED: Final = {"netting": "none", "risk": {"max_order_quantity": 0.5}}  # of orders of one unit
BOOK: Final = {"netting": "none", "risk": {"drawdown_fraction": 0.5, "drawdown_policy": "halt"}}


def warm() -> None:
    """What the first run of a process pays for: imports, kernels.

    Raises:
        SystemExit: orders do not go through the book, so that nothing of it would be measured.
    """
    found = support.engine(orders.write_w2("book_w2_closed", 200, orders.ONE_UNIT, book=CLOSED)).result.strategies.values()
    if sum(one.fills for one in found) or not any(one.refused for one in found):
        raise SystemExit("book: orders are filled that the book does not allow: this session has no book in effect")


def measure(minutes: int, runs: int) -> support.Claim:
    """Deliveries with a book and without.

    Raises:
        SystemExit: fills differ.
    """
    kinds: dict[str, dict[str, Any]] = {"book": {"book": BOOK}, "apart": {}}
    paths = [orders.write_w2(f"book_w2_{name}", minutes, orders.ONE_UNIT, **more) for name, more in kinds.items()]
    found, apart = support.alternate(runs, *(partial(w2.engine, path) for path in paths))
    run, other = support.median(found), support.median(apart)
    if run.result.ledger_hash != other.result.ledger_hash or orders.counts(run) != orders.counts(other):
        raise SystemExit(f"book: {orders.counts(run)} signals, orders and fills, and without a book {orders.counts(other)}")
    _, made, fills = orders.counts(run)
    return support.Claim(
        claim="book_deliveries_per_second", value=1 / run.seconds, unit="deliveries/s", target=RATIO, test="ratio >=",
        baseline=1 / other.seconds, note=f"baseline: without a book; {made} orders, {fills} fills, the same in both",
        **orders.spent(run, runs),
    )  # fmt: skip


def main() -> None:
    """Measure, and print one JSON line per claim."""
    options = support.arguments(__doc__)
    support.use_this_tree()
    warm()
    support.report([measure(2_000 if options.short else workloads.W2_MINUTES, options.runs or 3)])


if __name__ == "__main__":
    main()

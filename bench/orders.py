"""What orders cost: W1 and W2 with orders, fills, portfolio, journal and risk, against the same sessions without.

    python bench/orders.py

W1 is as in w1.py, one unit for each signal, filled at the close that it was decided on, without costs; orders and money must be
exact. What an order costs is the difference to the same session with `sizing: null`, over the orders. Whether that stays as it is
is asked of a cross of SMA(1) and SMA(2) on 1m, which trades at every other bar: all of W1 against its first tenth. W2 is the
moving average cross as in w2.py, one unit for each signal, filled at the next open.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, Final

import support
import w2
import workloads

BARS_PER_SECOND: Final = 2.5e6
ORDER_MICROSECONDS: Final = 12.0
DELIVERIES: Final = 600_000.0
FLAT: Final = 1.2
PARTS: Final = 10
ONE_UNIT: Final = {"method": "units", "units": 1}
EXACT: Final = {workloads.W1_MINUTES: (5_712, 9_999_481), 100_000: (1_073, 9_999_083)}
"""Orders and final equity in cents, by minutes. `expected` comes to them in plain integers."""


def expected(minutes: int) -> tuple[int, int]:
    """Orders and final equity in cents of the cross on W1, filled at the close, in integers: not stratd's code."""
    import numpy as np

    closes = np.rint(workloads.w1(minutes).columns["close"][0] * 100).astype(np.int64)
    five = closes[4::5]
    total = np.concatenate([[0], np.cumsum(five)])
    gaps = 2 * (total[20:] - total[10:-10]) - (total[20:] - total[:-20])  # 20 x (SMA10 - SMA20)
    cash, orders, held = 10_000_000, 0, 0
    for price, before, now in zip(five[20:].tolist(), gaps[:-1].tolist(), gaps[1:].tolist(), strict=True):
        wanted = 1 if now > 0 and before <= 0 else 0 if now < 0 and before >= 0 else held
        if wanted != held:
            cash += (held - wanted) * price
            held, orders = wanted, orders + 1
    return orders, cash + held * int(closes[-1])


def write_w1(minutes: int, interval: str, fast: int, slow: int, sizing: dict[str, Any] | None) -> Path:
    """The session of W1 with an account; without orders where `sizing` is None."""
    path = support.bars_file("w1.arrow", lambda: workloads.table(workloads.w1(), 0))
    entries = support.strategies(support.MA_CROSS, 1, symbols=["W1"], interval=interval, fast_period=fast, slow_period=slow)
    feed = {"files": {"W1": str(path)}, "end": support.until(minutes)}
    name = f"orders_w1_{interval}_{minutes}_{'none' if sizing is None else 'units'}"
    return support.session_file(name, ["W1"], feed, entries, derived=[5, 15], account={"fill": "close", "sizing": sizing})


def write_w2(name: str, minutes: int, sizing: dict[str, Any] | None, **more: Any) -> Path:
    """The session of W2's moving average cross with accounts; without orders where `sizing` is None."""
    path = support.bars_file("w2.arrow", lambda: workloads.table(workloads.w2(), None))
    entries = support.strategies(support.MA_CROSS, w2.STRATEGIES, symbols=["*"], interval="1m", fast_period=10, slow_period=20)
    feed = {"path": ".", "pattern": path.name, "end": support.until(minutes)}
    symbols = [f"S{i:02}" for i in range(workloads.W2_SYMBOLS)]
    return support.session_file(f"{name}_{minutes}", symbols, feed, entries, account={"sizing": sizing}, **more)


def counts(run: support.Run) -> tuple[int, int, int]:
    """Signals, orders and fills of all strategies of a run.

    Raises:
        SystemExit: an order was refused, so that the run is not the one that is meant.
    """
    every = run.result.strategies.values()
    refused = {reason: count for one in every for reason, count in one.refused.items()}
    if refused:
        raise SystemExit(f"{run.result.session}: orders were refused: {refused}")
    return sum(one.signals for one in every), sum(one.orders for one in every), sum(one.fills for one in every)


def per_order(with_orders: list[support.Run], without: list[support.Run]) -> float:
    """What an order costs, in µs: the median of the differences of runs that followed each other."""
    orders = counts(with_orders[0])[1]
    return 1e6 * support.middle(one.seconds - other.seconds for one, other in zip(with_orders, without, strict=True)) / orders


def spent(run: support.Run, runs: int) -> dict[str, Any]:
    """The cells of a claim that say what a run took."""
    return {"wall_seconds": run.wall_seconds, "cpu_seconds": run.cpu_seconds, "runs": runs}


def on_w1(minutes: int, runs: int) -> list[support.Claim]:
    """Speed, exact orders and money, and what an order costs.

    Raises:
        SystemExit: `EXACT` is not what plain integers come to.
    """
    orders, cents = EXACT[minutes]
    if expected(minutes) != EXACT[minutes]:
        raise SystemExit(
            f"orders: {minutes} minutes of W1 come to {expected(minutes)} in plain integers, not to {EXACT[minutes]}"
        )
    paths = [write_w1(minutes, "5m", 10, 20, sizing) for sizing in (ONE_UNIT, None)]
    found, bare = support.alternate(runs, *(partial(support.engine, path) for path in paths))
    run, other = support.median(found), support.median(bare)
    made = {(one.orders, round(100 * one.final_equity)) for every in found for one in every.result.strategies.values()}
    counted, money = made.pop() if len(made) == 1 else (None, None)
    differ = "" if not made else f"runs differ: {sorted(made)}"
    whole = 1e6 * (run.wall_seconds - other.wall_seconds) / orders
    cost = spent(run, runs)
    return [
        support.Claim(
            claim="w1_orders_bars_per_second", value=minutes / run.seconds, unit="1m bars/s", target=BARS_PER_SECOND,
            test="value >=", baseline=minutes / other.seconds, note="baseline: without orders", **cost,
        ),
        support.Claim(
            claim="w1_orders_count", value=counted, unit="orders", target=orders, test="value ==", note=differ, **cost,
        ),
        support.Claim(
            claim="w1_orders_final_equity", value=money, unit="cents", target=cents, test="value ==", note=differ, **cost,
        ),
        support.Claim(
            claim="w1_microseconds_per_order", value=per_order(found, bare), unit="µs/order", target=ORDER_MICROSECONDS,
            note=f"until the last strategy ends; until the journal is closed: {whole:.1f} µs", **cost,
        ),
    ]  # fmt: skip


def flat(minutes: int, runs: int) -> support.Claim:
    """What an order costs where there are many, against the first tenth of the same session."""
    sessions = [write_w1(span, "1m", 1, 2, sizing) for span in (minutes, minutes // PARTS) for sizing in (ONE_UNIT, None)]
    many, many_bare, few, few_bare = support.alternate(runs, *(partial(support.engine, path) for path in sessions))
    cost, cost_of_few = per_order(many, many_bare), per_order(few, few_bare)
    run = support.median(many)
    return support.Claim(
        claim="w1_orders_flat", value=cost, unit="µs/order", target=FLAT, test="ratio <=", baseline=cost_of_few,
        note=f"{counts(run)[1]} orders against {counts(few[0])[1]}", **spent(run, runs),
    )  # fmt: skip


def on_w2(minutes: int, runs: int) -> support.Claim:
    """Deliveries with orders and portfolios."""
    paths = [write_w2(f"orders_w2_{name}", minutes, sizing) for name, sizing in (("units", ONE_UNIT), ("none", None))]
    found, bare = support.alternate(runs, *(partial(w2.engine, path) for path in paths))
    run, other = support.median(found), support.median(bare)
    signals, orders, fills = counts(run)
    if orders != signals or counts(other)[0] != signals:
        raise SystemExit(f"orders: {signals} signals came to {orders} orders; without orders there were {counts(other)[0]}")
    return support.Claim(
        claim="w2_orders_deliveries_per_second", value=1 / run.seconds, unit="deliveries/s", target=DELIVERIES, test="value >=",
        baseline=1 / other.seconds, note=f"baseline: without orders; {orders} orders, {fills} fills", **spent(run, runs),
    )  # fmt: skip


def main() -> None:
    """Measure, and print one JSON line per claim."""
    options = support.arguments(__doc__)
    support.use_this_tree()
    support.engine(write_w1(20_000, "5m", 10, 20, ONE_UNIT))  # imports, kernels
    support.report(on_w1(100_000 if options.short else workloads.W1_MINUTES, options.runs or 7))
    support.report([flat(100_000 if options.short else workloads.W1_MINUTES, options.runs or 5)])
    support.report([on_w2(2_000 if options.short else workloads.W2_MINUTES, options.runs or 3)])


if __name__ == "__main__":
    main()

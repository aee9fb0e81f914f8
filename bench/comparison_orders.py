"""The same session with orders in stratd, backtesting.py and nautilus_trader: the same trades, and the same final equity.

    python bench/comparison_orders.py              compare with what is installed, and print every difference
    python bench/comparison_orders.py --record     and keep what the peers came to, for tests/replay/test_peers.py

What is played is in cross_cases.py. Each peer runs in a process of its own, by the Python that STRATD_BENCH_PYTHON names (this
one, if it does not). docs/peers.md explains what differs.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import comparison
import cross_cases
import support
from cross_cases import Played, Trip

RELATIVE: Final = 1e-6
RECORDED: Final = support.ROOT / "tests" / "replay" / "peers.json"
MINUTE_NS: Final = 60_000_000_000


@dataclass(frozen=True, slots=True)
class Peer:
    """How a peer is run.

    Attributes:
        words: of its script's command line.
        bar_ns: length of the bars with whose open it stamps fills.
        same: whether it must come to the same; else its differences are counted, and docs/peers.md says where they are from.
    """

    module: str
    script: str
    bar_ns: int
    words: tuple[str, ...] = ()
    same: bool = True


PEERS: Final = {
    "backtesting_py": Peer("backtesting", "orders_backtesting_py", 5 * MINUTE_NS),
    "nautilus_trader": Peer("nautilus_trader", "orders_nautilus_trader", MINUTE_NS),
    "nautilus_trader_as_it_comes": Peer("nautilus_trader", "orders_nautilus_trader", MINUTE_NS, ("--as-it-comes",), False),
}
SIZING: Final = {
    "unit": {"method": "units", "units": 1},
    "half": {"method": "equity_fraction", "fraction": cross_cases.FRACTION},
}


def session(days: str, size: str, directory: Path) -> Path:
    """Write the session of some days: a strategy, and so an account, for each symbol."""
    held = cross_cases.DAYS[days]
    document = {
        "session_name": f"peers_{days}_{size}",
        "calendar": "XNYS",
        "extended_hours": held.extended_hours,
        "tick": held.tick,
        "session_data_config": {
            "symbols": list(held.symbols),
            "streaming": {"data_upkeep": {"derived_intervals": [5]}},
        },
        "feed": {"files": {symbol: str(held.file(symbol)) for symbol in held.symbols}},
        "account": {
            "allocated_capital": cross_cases.CAPITAL,
            "commission": {"taker_bps": cross_cases.FEE_BPS, "maker_bps": cross_cases.FEE_BPS},
            "sizing": SIZING[size],
        },
        "strategies": [
            {
                "name": symbol,
                "module": support.MA_CROSS,
                "config": {
                    "symbols": [symbol],
                    "interval": "5m",
                    "fast_period": cross_cases.FAST,
                    "slow_period": cross_cases.SLOW,
                },
            }
            for symbol in held.symbols
        ],
    }
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"peers_{days}_{size}.json"
    path.write_text(json.dumps(document, indent=1))
    return path


def play(directory: Path) -> dict[str, Played]:
    """What stratd comes to, by case. Trades are read from the journals, equity from the results.

    Raises:
        SystemExit: a session failed, or an order was refused.
    """
    from stratd.system.config import load_session
    from stratd.system.manager import SystemManager
    from stratd.system.result import RunOptions

    found = {}
    for days in cross_cases.DAYS:
        for size in cross_cases.SIZES:
            config = load_session(session(days, size, directory))
            result = SystemManager(config, RunOptions(results_dir=str(directory / "results"))).run()
            if result.exit_code or sum(result.rejected.values()) or any(one.refused for one in result.strategies.values()):
                raise SystemExit(f"{result.session}: {result.error} {result.notes} {result.rejected}")
            for symbol, trips in journaled(config, Path(str(result.journal_file))).items():
                found[cross_cases.key(days, symbol, size)] = Played(trips, result.strategies[symbol].final_equity)
    return found


def journaled(config: Any, path: Path) -> dict[str, list[Trip]]:
    """By strategy: the trades in a session's journal, and the entry of a position that is still held."""
    import numpy as np

    from stratd.execution.account_journal import RECORDS
    from stratd.execution.records import Decoder
    from stratd.journal.reader import read_journal
    from stratd.model import Fill, Trade
    from stratd.portfolio.cells import R_COLUMNS

    decoder = Decoder("", config.symbols, config.instruments())
    trips: dict[str, list[Trip]] = {entry.name: [] for entry in config.strategies}
    last: dict[str, tuple[int, Fill]] = {}
    for _, _, entry in read_journal(path):
        if entry.kind != RECORDS:
            continue
        for event in decoder.decode(np.frombuffer(entry.payload, np.int64).reshape(-1, R_COLUMNS)):
            if isinstance(event, Fill):
                last[entry.owner] = last.get(entry.owner, (0, event))[0] + 1, event
            elif isinstance(event, Trade):
                trips[entry.owner].append(
                    Trip(event.quantity, event.entry_time, event.entry_price, event.exit_time, event.exit_price)
                )
    for owner, (fills, fill) in last.items():
        if fills % 2:
            trips[owner].append(Trip(fill.quantity, fill.time, fill.price, None, None))
    return trips


def stamped(trip: Trip, bar_ns: int) -> Trip:
    """A trip as somebody stamps it who knows bars of this length only."""
    left = None if trip.exit_time is None else trip.exit_time // bar_ns * bar_ns
    return trip._replace(entry_time=trip.entry_time // bar_ns * bar_ns, exit_time=left)


def differences(ours: Played, theirs: Played, bar_ns: int) -> Iterator[str]:
    """What is not the same: every trade's times, prices and quantity must be, and final equity to `RELATIVE`."""
    if len(ours.trips) != len(theirs.trips):
        yield f"{len(ours.trips)} trades, theirs {len(theirs.trips)}"
    for number, (mine, other) in enumerate(zip(ours.trips, theirs.trips, strict=False), 1):
        if stamped(mine, bar_ns) != other:
            yield f"trade {number}: {mine}, theirs {other}"
    if abs(ours.final_equity - theirs.final_equity) > RELATIVE * abs(theirs.final_equity):
        yield f"final equity {ours.final_equity:.2f}, theirs {theirs.final_equity:.6f}"


def later(ours: Played, bar_ns: int) -> int:
    """Fills that stratd stamps later than somebody who knows bars of this length only."""
    times = [time for trip in ours.trips for time in (trip.entry_time, trip.exit_time) if time is not None]
    return sum(time % bar_ns != 0 for time in times)


def compared(name: str, ours: dict[str, Played], theirs: dict[str, Played]) -> support.Claim:
    """The claim on one peer. Differences are printed to stderr.

    Raises:
        SystemExit: it did not play the same cases.
    """
    if ours.keys() != theirs.keys():
        raise SystemExit(f"{name}: it played {sorted(theirs)}, and stratd {sorted(ours)}")
    bar_ns = PEERS[name].bar_ns
    found = [f"{name}, {case}: {text}" for case, mine in ours.items() for text in differences(mine, theirs[case], bar_ns)]
    print(*found, sep="\n", end="\n" if found else "", file=sys.stderr)
    trades = sum(len(mine.trips) for mine in ours.values())
    late = sum(later(mine, bar_ns) for mine in ours.values())
    worst = max(abs(mine.final_equity / theirs[case].final_equity - 1) for case, mine in ours.items())
    note = (
        f"{len(ours)} accounts, {trades} trades; equity to {worst:.1e}; {late} fills are stamped with a longer bar's open by it"
    )
    return _claim(name, len(found), 1, note)


def _claim(name: str, value: int | None, runs: int, note: str) -> support.Claim:
    target = 0 if PEERS[name].same else None
    return support.Claim(
        claim=f"peer_orders_{name}", value=value, unit="differences", target=target, test="value ==", runs=runs, note=note
    )


def line_of(peer: Peer) -> dict[str, Any]:
    """What a peer tells of its run."""
    script = support.BENCH / "peers" / f"{peer.script}.py"
    run = support.command("-P", str(script), *peer.words, python=comparison.python())
    line: dict[str, Any] = json.loads(run.result[1].splitlines()[-1])
    return line


def recorded(lines: dict[str, dict[str, Any]]) -> str:
    """What is kept of the peers' runs: JSON with a trade a line."""
    parts = []
    for name, line in lines.items():
        played = [
            f"   {json.dumps(case)}: [[\n" + ",\n".join(f"    {json.dumps(trip)}" for trip in trips) + f"\n   ], {equity!r}]"
            for case, (trips, equity) in line["played"].items()
        ]
        head = f'  {json.dumps(name)}: {{"versions": {json.dumps(line["versions"])}, "played": {{\n'
        parts.append(head + ",\n".join(played) + "\n  }}")
    made = json.dumps("python bench/comparison_orders.py --record")
    return f'{{\n "made_by": {made},\n "peers": {{\n' + ",\n".join(parts) + "\n }\n}\n"


def main() -> None:
    """Compare, and print one JSON line per peer."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--short", action="store_true", help="no less than without: it takes seconds")
    parser.add_argument("--runs", type=int, help="once is enough: nothing is timed")
    parser.add_argument("--record", action="store_true", help=f"write what the peers came to into {RECORDED.name}")
    options = parser.parse_args()
    support.use_this_tree()
    ours = play(support.OUT / "peers")
    lines = {}
    for name, peer in PEERS.items():
        if comparison.installed(peer.module):
            lines[name] = line_of(peer)
            support.report([compared(name, ours, cross_cases.heard(lines[name]))])
        else:
            text = (
                f"{peer.module} is not installed: pip install -e '.[bench]', or name a Python that has it in STRATD_BENCH_PYTHON"
            )
            support.report([_claim(name, None, 0, text)])
    if options.record:
        if len(lines) != len(PEERS):
            raise SystemExit("a peer is missing: nothing is recorded")
        RECORDED.write_text(recorded({name: line for name, line in lines.items() if PEERS[name].same}))


if __name__ == "__main__":
    main()

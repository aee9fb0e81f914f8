"""stratd new: a strategy to begin with, and its test."""

from __future__ import annotations

import argparse
import keyword
import re
from pathlib import Path
from typing import Any, Final

from stratd.errors import UsageError

STRATEGY: Final = '''\
"""{title}.

Hypothesis: say what you believe about the market, and why it should pay.
Risks: say when it will lose.
"""

from __future__ import annotations

from pydantic import Field

from stratd import SMA, Interval, Side, Strategy, StrategyContext, StrategyParams


class {class_name}Params(StrategyParams):
    """Parameters. A session's `config` sets them; `stratd list` shows them; bounds and search space stand beside each."""

    period: int = Field(20, ge=2, le=500, description="bars in the mean", json_schema_extra={{"search": [10, 20, 50]}})


class {class_name}(Strategy[{class_name}Params]):
    """Buys when the close rises above its mean, and leaves when it falls below. Replace this by your idea."""

    Params = {class_name}Params

    def setup(self, ctx: StrategyContext) -> None:
        """Say what to be told of (subscribe) and what to compute."""
        symbols = ctx.subscribe(self.params.symbols, self.params.interval, lookback=self.params.period)
        self.mean = {{symbol: ctx.indicator(SMA(self.params.period), symbol, self.params.interval) for symbol in symbols}}
        self.above: dict[str, bool] = {{}}

    def on_bars(self, symbol: str, interval: Interval) -> None:
        """A bar has closed. What is read here never holds anything later than that bar."""
        close = self.ctx.bars(symbol, interval).close[-1]
        mean = self.mean[symbol].value
        above = bool(close > mean)
        before = self.above.get(symbol)
        self.above[symbol] = above
        if before is None or before == above:
            return
        side = Side.BUY if above else Side.FLAT
        self.ctx.signal(symbol, side, reason=f"close {{close:.2f}}, mean {{mean:.2f}}")
'''

TEST: Final = '''\
"""{class_name}, on bars that are made up."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from stratd.system.config import load_session
from stratd.system.manager import SystemManager
from stratd.system.result import RunOptions, SessionResult

CONFIG = {{"symbols": ["AAA"], "interval": "5m", "period": 3}}


def play(directory: Path, window: int) -> SessionResult:
    """Two days of a price that goes up and down every two hours."""
    start = datetime(2024, 1, 1, tzinfo=UTC)
    rows = ["timestamp,open,high,low,close,volume"]
    for minute in range(2880):
        price = round(100 + 5 * math.sin(minute / 120 * math.tau), 2)
        rows.append(f"{{start + timedelta(minutes=minute):%Y-%m-%dT%H:%M:%SZ}},{{price}},{{price}},{{price}},{{price}},1")
    (directory / "AAA.csv").write_text("\\n".join(rows) + "\\n")
    session = {{
        "session_data_config": {{"symbols": ["AAA"], "streaming": {{"data_upkeep": {{"derived_intervals": [5]}}}}}},
        "feed": {{"files": {{"AAA": "AAA.csv"}}}},
        "strategies": [{{"module": "{module}", "config": CONFIG}}],
    }}
    file = directory / "session.json"
    file.write_text(json.dumps(session))
    return SystemManager(load_session(file), RunOptions(window=window)).run()


def test_{name}_on_waves_gives_signals_without_errors(tmp_path: Path) -> None:
    result = play(tmp_path, window=4096).strategies["{name}"]
    assert (result.errors, result.state) == (0, "STOPPED"), result.last_error
    assert result.signals > 0


@pytest.mark.parametrize("window", [1, 64])
def test_{name}_whatever_the_window_decides_the_same(tmp_path: Path, window: int) -> None:
    assert play(tmp_path, window).audit_hash == play(tmp_path, 4096).audit_hash
'''


def add_verbs(verbs: Any) -> None:
    """Add `new` with `strategy`."""
    new = verbs.add_parser("new", help="write a strategy to begin with, and its test", description="Write files to begin with.")
    new.set_defaults(handler=_print_help, parser=new)
    kinds = new.add_subparsers(title="kinds", metavar="KIND", dest="kind")
    strategy = kinds.add_parser(
        "strategy",
        help="a strategy module and its test",
        description="Write strategies/NAME.py, a small strategy that runs, and tests/strategies/test_NAME.py.",
    )
    strategy.add_argument("name", metavar="NAME", help="name of the module, in small letters: my_idea")
    strategy.add_argument(
        "--dir", type=Path, default=Path(), metavar="DIR", help="the directory that holds strategies/ (default: here)"
    )
    strategy.set_defaults(handler=new_strategy, parser=strategy)


def _print_help(arguments: argparse.Namespace) -> int:
    arguments.parser.print_help()
    return 0


def new_strategy(arguments: argparse.Namespace) -> int:
    """Write the two files. Nothing is ever overwritten."""
    name = _checked(arguments.name)
    class_name = "".join(part.capitalize() for part in name.split("_"))
    words = {"name": name, "class_name": class_name, "module": f"strategies.{name}", "title": name.replace("_", " ").capitalize()}
    files = {
        arguments.dir / "strategies" / f"{name}.py": STRATEGY.format(**words),
        arguments.dir / "tests" / "strategies" / f"test_{name}.py": TEST.format(**words),
    }
    for path in files:
        if path.exists():
            raise UsageError(f"{path} is there already; choose another name, or remove it")
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        print(f"wrote {path}")
    print(f'to run it, add to the strategies of a session: {{"module": "strategies.{name}", "config": {{"symbols": ["*"]}}}}')
    return 0


def _checked(name: str) -> str:
    if re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name) and not keyword.iskeyword(name):
        return name
    near = re.sub(r"[^a-z0-9]+", "_", re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower()).strip("_").lstrip("0123456789_")
    hint = f"; did you mean {near!r}?" if near and near != name and not keyword.iskeyword(near) else ""
    raise UsageError(f"{name!r} cannot name a module: use small letters, digits and _{hint}")

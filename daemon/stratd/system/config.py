"""SessionConfig: what a session file says.

`load_session` reads a file in JSON, YAML or TOML and gives back a checked, frozen SessionConfig, or raises one ConfigError
with everything that is wrong. It loads neither strategies nor market data (`stratd check` does), and it does
not read the environment: a session means the same on every machine.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field, PrivateAttr, ValidationError, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from stratd.model import Instrument, Interval
from stratd.system.account_config import (
    AccountConfig,
    AccountOver,
    BookConfig,
    Capital,
    JournalConfig,
    RiskOver,
    account_rules,
    risk_limits,
    without_default,
)
from stratd.system.config_checks import HISTORY_BARS, apply_overrides, check_session_data, default_name, rename_keys
from stratd.system.config_errors import Findings, add_validation_error
from stratd.system.config_file import read_config
from stratd.system.feed_config import ConfigModel, ReplayConfig, ResolvedReplay, Text
from stratd.system.sizing_config import SizingConfig, make_sizing

if TYPE_CHECKING:
    from stratd.execution.rules import AccountRules
    from stratd.portfolio.sizing import Sizing
    from stratd.risk.limits import RiskLimits

_MODULE: Final = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]*")


def _check_symbol(symbol: str) -> str:
    if re.search(r"[\s*?]", symbol):
        raise ValueError("a symbol has no spaces and no wildcards (wildcards are for a strategy's own symbols)")
    return symbol


def _check_session_name(name: str) -> str:
    if re.search(r"[/\\\0]", name) or name in (".", ".."):
        raise ValueError("names the session's directory of results, so it cannot hold / or \\")
    return name


def _check_strategy_name(name: str) -> str:
    if _NAME.fullmatch(name) is None:
        raise ValueError("must be letters, digits and _ . : -")
    return name


def _check_module(name: str) -> str:
    is_path = "/" in name or name.endswith(".py")
    if not is_path and _MODULE.fullmatch(name) is None:
        near = re.sub(r"[^\w.]+", "_", name).strip("._")
        suggestion = near if _MODULE.fullmatch(near) else None
        message = "must be a dotted module name such as strategies.examples.simple_ma_cross, or the path of a .py file"
        raise PydanticCustomError("module_name", message, {"suggestion": suggestion})
    return name


def _check_speed(speed: float) -> float:
    if speed != 0:
        raise ValueError("this version plays sessions data-driven only: write 0")
    return speed


def _symbol_entry(entry: Any) -> Any:
    if isinstance(entry, str):
        return {"symbol": entry}
    if not isinstance(entry, (Mapping, SymbolConfig)):
        raise ValueError('must be text (in quotes) or an object such as {"symbol": "SPY", "tick": 0.01}')
    return entry


class SymbolConfig(ConfigModel):
    """A symbol of the session. What is left out comes from the session's own keys of the same name."""

    symbol: Annotated[Text, AfterValidator(_check_symbol)] = Field(description="the name that files and strategies use")
    venue: str = Field("", strict=True, description="where it trades")
    tick: float | None = Field(None, strict=True, gt=0, allow_inf_nan=False, description="smallest price step; null: unknown")
    lot: float = Field(1.0, strict=True, gt=0, allow_inf_nan=False, description="smallest quantity step")
    min_notional: float = Field(
        0.0,
        strict=True,
        ge=0,
        allow_inf_nan=False,
        description="smallest value of an order, in quote currency; what closes a whole position is exempt",
    )
    quote: Text = Field("USD", description="quote currency")
    calendar: Text | None = Field(None, description="24/7, or an exchange calendar's name such as XNYS")
    extended_hours: bool | None = Field(
        None, strict=True, description="whether minutes before the open and after the close belong to the session"
    )
    sends_empty_minutes: bool | None = Field(
        None, strict=True, description="whether the venue sends a bar for a minute without trades"
    )


class UpkeepConfig(ConfigModel):
    """Which bars are derived from the 1-minute bars."""

    enabled: bool = Field(True, strict=True, description="whether bars are derived at all")
    derived_intervals: tuple[
        Annotated[
            Interval,
            WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 2}, {"type": "string", "pattern": "^[1-9][0-9]*[mhd]$"}]}),
        ],
        ...,
    ] = Field((), description='intervals to derive: minutes (5, 15) or text ("1h"); strategies can subscribe to 1m and to these')


class StreamingConfig(ConfigModel):
    """What is done with the bars that come in."""

    data_upkeep: UpkeepConfig = Field(UpkeepConfig(), description="derived bars")


class SessionDataConfig(ConfigModel):
    """The market data of a session."""

    symbols: tuple[Annotated[SymbolConfig, BeforeValidator(_symbol_entry, json_schema_input_type=str | SymbolConfig)], ...] = (
        Field(min_length=1, description="the session's symbols; their order is the order of events within a minute")
    )
    streams: tuple[Literal["1m"], ...] = Field(("1m",), min_length=1, description='what the feed gives: ["1m"]')
    history_bars: int = Field(
        HISTORY_BARS, strict=True, ge=1, le=100_000_000, description="bars of each stream that strategies can look back on"
    )
    streaming: StreamingConfig = Field(StreamingConfig(), description="what is done with the bars that come in")


class StrategyConfig(ConfigModel):
    """One strategy of the session."""

    name: Annotated[str, AfterValidator(_check_strategy_name)] = Field(
        "", strict=True, description="its name in results and logs; left out: the last part of module"
    )
    module: Annotated[Text, AfterValidator(_check_module)] = Field(
        description="the module that holds it, such as strategies.examples.simple_ma_cross, or the path of a .py file"
    )
    class_name: Text | None = Field(None, description="its class, where the module holds several")
    enabled: bool = Field(True, strict=True, description="whether it runs")
    max_errors: int = Field(10, strict=True, ge=0, description="errors it may make before it is quarantined")
    config: dict[str, Any] = Field({}, description="its parameters; stratd list shows which it has")
    allocated_capital: Capital | None = Field(None, description="money it starts with; null: account.allocated_capital")
    account: AccountOver = Field(default_factory=AccountOver, description="its own account; what is left out is the session's")
    sizing: SizingConfig | None = Field(
        None,
        description="how its signals become positions; left out: account.sizing; null: they are only recorded",
        json_schema_extra=without_default,
    )
    risk: RiskOver = Field(default_factory=RiskOver, description="its own limits; what is left out is account.risk")

    @model_validator(mode="before")
    @classmethod
    def _name_by_module(cls, data: Any) -> Any:
        if isinstance(data, Mapping) and "name" not in data and isinstance(data.get("module"), str):
            return {**data, "name": default_name(data["module"])}
        return data


class SessionConfig(ConfigModel):
    """A session: which bars are played, and which strategies see them. Made by `load_session`."""

    session_name: Annotated[Text, AfterValidator(_check_session_name)] = Field(
        description="the session's name in results and logs; left out: the file's name"
    )
    speed_multiplier: Annotated[float, AfterValidator(_check_speed)] = Field(
        0, strict=True, description="0: data-driven, as fast as the strategies are", json_schema_extra={"const": 0}
    )
    calendar: Text = Field("24/7", description="calendar of symbols that name none: 24/7, or an exchange's such as XNYS")
    extended_hours: bool = Field(
        False, strict=True, description="whether minutes before the open and after the close belong to the session"
    )
    tick: float | None = Field(
        None, strict=True, gt=0, allow_inf_nan=False, description="smallest price step of symbols that name none; null: unknown"
    )
    sends_empty_minutes: bool = Field(
        False, strict=True, description="whether the venue sends a bar for a minute without trades; if so, an absent one is lost"
    )
    session_data_config: SessionDataConfig = Field(description="the market data of the session")
    feed: ReplayConfig = Field(description="where the bars come from")
    window: int = Field(
        4096, strict=True, ge=1, le=1_000_000, description="steps that the slowest strategy may be behind the data"
    )
    block_minutes: int = Field(16_384, strict=True, ge=1, le=1_000_000, description="minutes taken from the feed at a time")
    barrier_timeout_seconds: float = Field(
        60,
        strict=True,
        gt=0,
        le=1_000_000,
        allow_inf_nan=False,
        description="how long the data waits for a strategy that makes no progress",
    )
    on_barrier_timeout: Literal["quarantine", "abort"] = Field(
        "quarantine", description="what happens then: the strategy is quarantined, or the session ends"
    )
    on_load_error: Literal["abort", "skip"] = Field(
        "abort", description="when a strategy cannot be loaded: end the session, or go on without it"
    )
    results_dir: Text = Field("results", description="directory for what sessions leave behind, relative to the current one")
    account: AccountConfig = Field(
        AccountConfig(), description="every strategy's account: money, fills, costs, sizing and limits, where it says no other"
    )
    book: BookConfig | None = Field(
        None,
        description="all accounts together; null: they know nothing of each other. A session with a book is gated step by step",
    )
    journal: JournalConfig = Field(JournalConfig(), description="the record of orders, fills and money")
    strategies: tuple[StrategyConfig, ...] = Field(description="the strategies of the session")

    _file: Path = PrivateAttr(Path("session"))

    @property
    def file(self) -> Path:
        """The session file as the user named it."""
        return self._file

    @property
    def base_dir(self) -> Path:
        """The session file's directory, which paths of data are relative to."""
        return self._file.parent

    @property
    def results_path(self) -> Path:
        """Where sessions' results go: relative to the current directory, because configurations may be read-only."""
        return Path(self.results_dir).expanduser()

    @property
    def symbols(self) -> tuple[str, ...]:
        """The session's symbols, in order."""
        return tuple(entry.symbol for entry in self.session_data_config.symbols)

    @property
    def history_bars(self) -> int:
        """Bars of each stream that strategies can look back on."""
        return self.session_data_config.history_bars

    @property
    def derived_intervals(self) -> tuple[Interval, ...]:
        """Intervals to derive, the short ones first; none where upkeep is switched off."""
        upkeep = self.session_data_config.streaming.data_upkeep
        return tuple(sorted(upkeep.derived_intervals)) if upkeep.enabled else ()

    @property
    def enabled_strategies(self) -> tuple[tuple[int, StrategyConfig], ...]:
        """The strategies that run, each with its position in the file (for `strategies[i]` in problems)."""
        return tuple((index, entry) for index, entry in enumerate(self.strategies) if entry.enabled)

    def instruments(self) -> tuple[Instrument, ...]:
        """The session's instruments, in its order of symbols, with the session's defaults filled in."""
        return tuple(self._instrument(entry) for entry in self.session_data_config.symbols)

    def _instrument(self, entry: SymbolConfig) -> Instrument:
        return Instrument(
            symbol=entry.symbol,
            venue=entry.venue,
            # "tick": null on a symbol takes the session's tick away from it.
            tick=entry.tick if "tick" in entry.model_fields_set else self.tick,
            lot=entry.lot,
            min_notional=entry.min_notional,
            quote=entry.quote,
            calendar=self.calendar if entry.calendar is None else entry.calendar,
            extended_hours=self.extended_hours if entry.extended_hours is None else entry.extended_hours,
            sends_empty_minutes=self.sends_empty_minutes if entry.sends_empty_minutes is None else entry.sends_empty_minutes,
        )

    def account_rules(self, entry: StrategyConfig) -> AccountRules:
        """How a strategy's orders fill and what they cost, its own keys over the session's."""
        return account_rules(self.account, entry.account, entry.allocated_capital)

    def risk_limits(self, entry: StrategyConfig) -> RiskLimits:
        """The limits of a strategy's account, its own keys over the session's."""
        return risk_limits(self.account.risk, entry.account.risk, entry.risk)

    def sizing(self, entry: StrategyConfig) -> Sizing | None:
        """How a strategy's signals become positions; None where they are only recorded."""
        said = next((one for one in (entry, entry.account) if "sizing" in one.model_fields_set), self.account)
        return None if said.sizing is None else make_sizing(said.sizing)

    def replay(self) -> ResolvedReplay:
        """The feed's files, found on disk.

        Raises:
            ConfigError: a file has gone since the session was loaded.
        """
        return self.feed.resolve(self.base_dir, self.symbols, str(self.file))


def load_session(path: Path, overrides: Mapping[str, Any] | None = None) -> SessionConfig:
    """Read and check a session file.

    Args:
        path: a .json, .yaml, .yml or .toml file.
        overrides: values that replace what the file says, by key path: `{"feed.start": "2013-10-07"}`.

    Raises:
        ConfigError: everything that is wrong with it, in the order of the file.
    """
    findings = Findings(str(path))
    data = read_config(path, findings)
    if isinstance(data.get("$schema"), str):
        del data["$schema"]  # For the editor, not for us.
    apply_overrides(data, overrides or {}, findings)
    config, repaired = _validate({"session_name": path.stem} | data, data, findings)
    check_session_data(repaired, path.parent, findings)
    findings.raise_if_any(data)
    assert config is not None  # without problems there was no ValidationError
    config._file = path
    return config


def _validate(
    data: dict[str, Any], as_written: dict[str, Any], findings: Findings
) -> tuple[SessionConfig | None, dict[str, Any]]:
    """Check against the models; a misspelt key is taken for what it was meant to be, so that its contents are checked too.

    Returns:
        The session, None where there were problems; and the data with misspelt keys put right.
    """
    config: SessionConfig | None = None
    try:
        config = SessionConfig.model_validate(data)
    except ValidationError as error:
        misspelt = add_validation_error(findings, error, SessionConfig, as_written)
        if misspelt:
            # Every round leaves fewer unknown keys, so this ends.
            repaired = rename_keys(as_written, misspelt)
            return None, _validate({"session_name": data["session_name"]} | repaired, repaired, findings)[1]
    return config, as_written

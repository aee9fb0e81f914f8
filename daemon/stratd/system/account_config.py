"""The `account`, `risk`, `book` and `journal` of a session: money, and what may be done with it.

A strategy's own keys go over the session's key by key: `StrategyConfig.account` and `StrategyConfig.risk` hold only what
the file says, and the functions below lay it over the session's `account`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import ConfigDict, Field

from stratd.system.feed_config import ConfigModel, Text
from stratd.system.sizing_config import EquityFractionConfig, Positive, SizingConfig

if TYPE_CHECKING:
    # Imported where they are made: they need numpy, which a session file that is wrong should not have to wait for.
    from stratd.execution.rules import AccountRules
    from stratd.risk.limits import RiskLimits

LARGEST_CAPITAL: Final = 40_000_000_000.0  # what AccountRules can count
_LONGEST_LATENCY_SECONDS: Final = 1_000_000
_WHOLE_PRICE_BPS: Final = 10_000

Capital = Annotated[float, Field(strict=True, gt=0, le=LARGEST_CAPITAL, allow_inf_nan=False)]
Cost = Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False)]
SlippageBps = Annotated[float, Field(strict=True, ge=0, lt=_WHOLE_PRICE_BPS, allow_inf_nan=False)]
# Below zero: the venue pays.
FeeBps = Annotated[float, Field(strict=True, ge=-_WHOLE_PRICE_BPS, le=_WHOLE_PRICE_BPS, allow_inf_nan=False)]
Count = Annotated[int, Field(strict=True, ge=1)]
# A limit above 1 would never be met: 5 is hardly meant where 5 % is 0.05.
Loss = Annotated[float, Field(strict=True, gt=0, le=1, allow_inf_nan=False)]


PolicyChoice = Literal["reduce", "halt"]


class SlippageConfig(ConfigModel):
    """How much worse than its price an order fills; the parts add up. Limit orders have none."""

    bps: SlippageBps = Field(0.0, description="hundredths of a percent of the price")
    ticks: Cost = Field(0.0, description="price steps; a symbol without a tick has none")
    range_fraction: Cost = Field(0.0, description="fraction of the 1m bar's high - low")
    random_bps: SlippageBps = Field(0.0, description="upper end of a uniform part, drawn from seed and the order's id")


class CommissionConfig(ConfigModel):
    """What fills cost, in the account's currency; the parts add up."""

    per_share: Cost = Field(0.0, description="for each unit of the symbol")
    minimum: Cost = Field(0.0, description="the least that an order's per_share part comes to")
    taker_bps: FeeBps = Field(0.0, description="hundredths of a percent of a taker's notional; below 0: the venue pays")
    maker_bps: FeeBps = Field(0.0, description="the same of a maker's, which is a resting limit order's fill at its own price")
    per_order: Cost = Field(0.0, description="once, at an order's first fill")


class RiskConfig(ConfigModel):
    """Limits of an account, or of a book. null is no limit.

    Passing a limit for a running account (the last eight keys) reduces it (only what reduces positions is accepted) or
    halts it (nothing is accepted; orders are cancelled, positions kept), until a person resets it.
    """

    max_position_quantity: Positive | None = Field(None, description="units of one symbol, either way, after an order")
    max_position_notional: Positive | None = Field(None, description="value of one symbol, either way, after an order")
    max_order_quantity: Positive | None = Field(None, description="units of one order")
    max_order_notional: Positive | None = Field(None, description="value of one order, at the last price")
    max_orders_per_minute: Count | None = Field(None, description="orders in a UTC minute of event time")
    price_band_fraction: Positive | None = Field(
        None, description="how far an order's prices may be from the last price, as a fraction of it"
    )
    allowed_symbols: Annotated[tuple[Text, ...], Field(min_length=1)] | None = Field(
        None, description="symbols that may be traded; null: all that the strategy reads"
    )
    refuse_duplicates: bool = Field(
        True, strict=True, description="whether the same order is refused if given twice at one event time"
    )
    daily_loss_fraction: Loss | None = Field(None, description="loss of a day, of the equity at its start")
    drawdown_fraction: Loss | None = Field(None, description="loss from the highest equity so far, of that equity")
    consecutive_losses: Count | None = Field(None, description="losing trades in a row")
    exposure_fraction: Positive | None = Field(None, description="sum of the positions' values, longs and shorts, over equity")
    daily_loss_policy: PolicyChoice = Field("halt", description="what passing daily_loss_fraction does")
    drawdown_policy: PolicyChoice = Field("halt", description="what passing drawdown_fraction does")
    consecutive_losses_policy: PolicyChoice = Field("reduce", description="what passing consecutive_losses does")
    exposure_policy: PolicyChoice = Field("reduce", description="what passing exposure_fraction does")


class AccountConfig(ConfigModel):
    """Every strategy's account: its money, how its orders fill and what they cost. Strategies can say otherwise for themselves."""

    allocated_capital: Capital = Field(100_000.0, description="money that each strategy starts with, in the quote currency")
    fill: Literal["next_open", "close"] = Field(
        "next_open",
        description="market orders fill at the next 1m open, or, for comparison only, because it is optimistic, "
        "at the close that they were decided on",
    )
    latency_seconds: float = Field(
        0.0,
        strict=True,
        ge=0,
        le=_LONGEST_LATENCY_SECONDS,
        allow_inf_nan=False,
        description="event time from a decision until the venue has it",
    )
    intrabar: Literal["pessimistic", "optimistic"] = Field(
        "pessimistic", description="what is assumed where a bar cannot tell what happened first"
    )
    limit_fill: Literal["through", "touch"] = Field(
        "through", description="a resting limit order fills when the price trades through it, or touches it"
    )
    participation: Annotated[float, Field(strict=True, gt=0, le=1, allow_inf_nan=False)] | None = Field(
        None, description="fraction of a 1m bar's volume that all orders in a symbol may fill; null: no bound"
    )
    allow_short: bool = Field(True, strict=True, description="whether positions may be short")
    lots: Literal["average", "fifo"] = Field(
        "average", description="what closing takes off a position: a share of everything, or the oldest lots"
    )
    at_end: Literal["mark", "close"] = Field(
        "mark", description="open positions at the session's end: valued at the last close, or closed there"
    )
    leverage: Positive = Field(1.0, description="buying power over equity")
    borrow_rate: Cost = Field(0.0, description="a year, of the value of short positions")
    financing_rate: Cost = Field(0.0, description="a year, of negative cash")
    seed: int = Field(0, strict=True, description="of random slippage")
    slippage: SlippageConfig = Field(SlippageConfig(), description="how much worse than their price orders fill")
    commission: CommissionConfig = Field(CommissionConfig(), description="what fills cost")
    sizing: SizingConfig | None = Field(
        EquityFractionConfig(method="equity_fraction", fraction=0.1),
        description="how signals become positions; left out: a tenth of equity; null: signals are only recorded",
    )
    risk: RiskConfig = Field(RiskConfig(), description="limits of each strategy's account")


def without_default(entry: dict[str, Any]) -> None:
    """In the JSON schema of a key that a strategy has for itself: left out, it is the session's, not a default."""
    entry.pop("default", None)


def _without_defaults(schema: dict[str, Any]) -> None:
    for entry in schema["properties"].values():
        without_default(entry)


_OVER: Final = ConfigDict(json_schema_extra=_without_defaults)


class SlippageOver(SlippageConfig):
    """The strategy's own slippage. What is left out is the session's."""

    model_config = _OVER


class CommissionOver(CommissionConfig):
    """The strategy's own commission. What is left out is the session's."""

    model_config = _OVER


class RiskOver(RiskConfig):
    """The strategy's own limits. What is left out is the session's account.risk; null takes a limit away."""

    model_config = _OVER


class AccountOver(AccountConfig):
    """The strategy's own account. What is left out is the session's account.

    allocated_capital, sizing and risk can stand here or beside account, not at both places.
    """

    model_config = _OVER

    slippage: SlippageOver = Field(SlippageOver(), description="how much worse than their price orders fill")
    commission: CommissionOver = Field(CommissionOver(), description="what fills cost")
    sizing: SizingConfig | None = Field(
        None, description="how its signals become positions; left out: the session's; null: they are only recorded"
    )
    risk: RiskOver = Field(RiskOver(), description="limits of the strategy's account")


class BookConfig(ConfigModel):
    """All strategies' accounts together. A session with a book is gated step by step, whatever window says."""

    netting: Literal["none", "internal"] = Field(
        "none", description="whether strategies' signals that cross are settled between them; each keeps its own fills"
    )
    shared_buying_power: bool = Field(
        False, strict=True, description="whether strategies draw on one buying power, in the order of the session's strategies"
    )
    capital: Capital | None = Field(None, description="money of the book; null: the sum of the strategies'")
    risk: RiskConfig = Field(RiskConfig(), description="limits of the whole book")


class JournalConfig(ConfigModel):
    """The record of orders, fills and money that survives a crash."""

    enabled: bool = Field(True, strict=True, description="whether it is kept")
    path: Text | None = Field(
        None, description="its file, relative to the current directory; null: journal.sqlite3 among the session's results"
    )
    durable: bool | None = Field(
        None, strict=True, description="whether a record is on disk before an order is sent; null: run yes, backtest no"
    )
    on_restart: Literal["resume", "flatten", "hold"] = Field(
        "resume", description="what a restart does with what is open: goes on, closes it, or keeps it without new orders"
    )
    on_orphan: Literal["adopt", "close", "alert"] = Field(
        "alert",
        description="what a strategy that is not in the session any more, or could not be loaded, has left open: kept and marked, closed, or only reported",
    )


def account_rules(session: AccountConfig, own: AccountConfig, allocated_capital: float | None) -> AccountRules:
    """The rules of one strategy's account.

    Args:
        own: what the strategy says; only keys that were given count.
        allocated_capital: what it says beside `account`.
    """
    from stratd.execution.rules import AccountRules, AtEnd, Commission, FillRule, Intrabar, LimitFill, LotRule, Slippage

    merged = _laid_over(session, own, {"sizing", "risk"})
    kinds = {"fill": FillRule, "intrabar": Intrabar, "limit_fill": LimitFill, "lots": LotRule, "at_end": AtEnd}
    merged |= {key: kind(merged[key]) for key, kind in kinds.items()}
    if allocated_capital is not None:
        merged["allocated_capital"] = allocated_capital
    slippage, commission = Slippage(**merged.pop("slippage")), Commission(**merged.pop("commission"))
    return AccountRules(**merged, slippage=slippage, commission=commission)


def risk_limits(session: RiskConfig, *own: RiskConfig) -> RiskLimits:
    """The limits of one account; of `own`, the later ones over the earlier ones, only keys that were given count."""
    from stratd.risk.limits import Policy, RiskLimits

    merged = session.model_dump()
    for over in own:
        merged |= over.model_dump(exclude_unset=True)
    merged |= {key: Policy(value) for key, value in merged.items() if key.endswith("_policy")}
    return RiskLimits(**merged)


def _laid_over(base: ConfigModel, over: ConfigModel, exclude: set[str]) -> dict[str, Any]:
    """All values of `base`, with those that were given in `over` in their place, key by key on both levels."""
    merged = base.model_dump(exclude=exclude)
    for key, value in over.model_dump(exclude=exclude, exclude_unset=True).items():
        merged[key] = merged[key] | value if isinstance(value, dict) else value
    return merged

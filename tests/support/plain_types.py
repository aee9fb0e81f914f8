"""What goes into the plain simulator, and what comes out of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import NamedTuple

from stratd.execution.rules import AccountRules
from stratd.model import Instrument, OrderRequest, Side
from stratd.risk.limits import RiskLimits
from stratd.testing.bars import BarRow

from .reference import Listed


@dataclass(frozen=True)
class Place:
    """Give an order."""

    request: OrderRequest


@dataclass(frozen=True)
class Cancel:
    """Cancel the order at this place (modulo their number) among the ids that the strategy holds."""

    pick: int


@dataclass(frozen=True)
class Amend:
    """Amend the order at this place likewise; of the prices, those that its kind has."""

    pick: int
    quantity: float | None = None
    limit_price: float | None = None
    stop_price: float | None = None


Action = Place | Cancel | Amend


@dataclass(frozen=True)
class Case:
    """One account's session.

    Attributes:
        rows: 1m bars in feed order.
        listed, instruments: of the session's symbols, in its order.
        minutes: the intervals that the strategy is subscribed to, for all symbols.
        script: what it does at its n-th bar, by n from 0 on.
        on_fill: what it does at its n-th fill likewise.
    """

    rows: tuple[BarRow, ...]
    listed: tuple[Listed, ...]
    instruments: tuple[Instrument, ...]
    minutes: tuple[int, ...] = (1,)
    rules: AccountRules = field(default_factory=AccountRules)
    limits: RiskLimits = field(default_factory=RiskLimits)
    script: tuple[tuple[int, tuple[Action, ...]], ...] = ()
    on_fill: tuple[tuple[int, tuple[Action, ...]], ...] = ()


class Filled(NamedTuple):
    """A fill. Lots, exact price, fee in units of money."""

    time: int
    order_id: int
    number: int
    symbol: str
    sign: int
    lots: int
    price: Fraction
    fee: int
    is_maker: bool


class Ended(NamedTuple):
    """An order's end: `filled`, `cancelled` or `expired`, with the lots that it had filled."""

    time: int
    order_id: int
    state: str
    filled: int


class Intended(NamedTuple):
    """An order that was let through. Lots are 0 for a bracket's child."""

    time: int
    order_id: int
    symbol: str
    sign: int
    kind: str
    lots: int
    limit: Fraction | None
    stop: Fraction | None
    parent: int


class Turned(NamedTuple):
    """An order that risk turned away, and every reason that there was."""

    time: int
    symbol: str
    side: Side
    quantity: float
    reasons: frozenset[str]


class Round(NamedTuple):
    """A round trip. Money in units, averages exact."""

    symbol: str
    sign: int
    lots: int
    entry_time: int
    exit_time: int
    entry_price: Fraction
    exit_price: Fraction
    pnl: int
    fees: int
    mae: int
    mfe: int
    bars_held: int


class Stricter(NamedTuple):
    """A risk state that was reached."""

    time: int
    state: str
    equity: int


class Charge(NamedTuple):
    """Borrow or financing, in units."""

    time: int
    symbol: str
    amount: int
    kind: str
    days: int


class Asked(NamedTuple):
    """A cancellation or an amendment that was asked for."""

    time: int
    order_id: int
    what: str


PlainEvent = Filled | Ended | Intended | Turned | Round | Stricter | Charge | Asked


@dataclass
class Outcome:
    """What became of a case. Money in units.

    Attributes:
        points: close time and equity.
        positions: lots and cost by symbol, where there is any.
    """

    kept: list[PlainEvent] = field(default_factory=list)
    points: list[tuple[int, int]] = field(default_factory=list)
    positions: dict[str, tuple[int, int]] = field(default_factory=dict)
    cash: int = 0
    realised: int = 0
    fees: int = 0
    financing: int = 0
    equity: int = 0

"""A journal's lines in words, for the table of `stratd journal show`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from stratd.cli.journal_lines import Line
from stratd.core.clock import utc_text

Cells = tuple[str, str, str, str, str, str]
"""What it is, symbol, side, quantity, price, and everything else."""

_WHAT: Final = {
    "orders": "order", "fills": "fill", "ended": "ended", "trades": "trade", "refused": "refused", "cancels": "cancel",
    "amendments": "amend", "charges": "charge", "risk": "risk", "resets": "reset", "equity": "equity",
    "checkpoints": "checkpoint", "book": "book", "session": "session",
}  # fmt: skip


def cells_of(line: Line) -> Cells:
    """The cells of a line's row, between its strategy and its end."""
    values = line.values
    quantity = values.get("filled" if line.kind == "ended" else "quantity")
    if line.kind == "orders" and values["parent"]:
        quantity = None  # a child has what its entry has filled, and that was nothing
    side = str(values.get("side", ""))
    if line.kind == "trades":
        side = "long" if side == "buy" else "short"
    return (
        _WHAT[line.kind],
        values.get("symbol", ""),
        side,
        "" if quantity is None else number_text(quantity),
        _price(line),
        _details(line.kind, values),
    )


def number_text(number: float) -> str:
    """A price or a quantity with all its digits and no zeros behind them: `1,234.5`, `0.00012`."""
    text = f"{number:,.10f}".rstrip("0").rstrip(".")
    return text if text not in ("0", "-0") or not number else f"{number:g}"


def _money(amount: float) -> str:
    return f"{amount:,.2f}"


def _price(line: Line) -> str:
    values = line.values
    names = {"fills": ("price",), "trades": ("exit_price",)}.get(line.kind, ("limit_price", "stop_price"))
    price = next((values[name] for name in names if values.get(name) is not None), None)
    return "" if price is None else number_text(round(price, 8))  # averages have many digits


def _details(kind: str, values: Mapping[str, Any]) -> str:
    parts = list(_PARTS[kind](values))
    return ", ".join(parts)


def _order(values: Mapping[str, Any]) -> list[str]:
    parts = [f"#{values['id']} {values['kind']}"]
    if values["limit_price"] is not None and values["stop_price"] is not None:
        parts.append(f"stop {number_text(values['stop_price'])}")
    if values["time_in_force"] != "gtc":
        parts.append(values["time_in_force"])
    if values["parent"]:
        parts.append(f"child of #{values['parent']}")
    elif values["reduce_only"]:
        parts.append("reduce only")
    return parts


def _fill(values: Mapping[str, Any]) -> list[str]:
    number = f" part {values['number']}" if values["number"] > 1 else ""
    parts = [f"#{values['order_id']}{number}"]
    if values["fee"]:
        parts.append(f"fee {_money(values['fee'])}")
    return [*parts, "maker"] if values["is_maker"] else parts


def _trade(values: Mapping[str, Any]) -> list[str]:
    bars = values["bars_held"]
    entered = f"from {number_text(round(values['entry_price'], 8))}"
    parts = [f"PnL {values['pnl']:+,.2f}", entered, f"{bars:,} bar{'' if bars == 1 else 's'}"]
    return [*parts, f"fees {_money(values['fees'])}"] if values["fees"] else parts


def _ended(values: Mapping[str, Any]) -> list[str]:
    return [f"#{values['order_id']} {values['state']}" + (f": {values['reason']}" if values["reason"] else "")]


def _amended(values: Mapping[str, Any]) -> list[str]:
    both = values["limit_price"] is not None and values["stop_price"] is not None
    return [f"#{values['order_id']}", *([f"stop {number_text(values['stop_price'])}"] if both else [])]


def _charge(values: Mapping[str, Any]) -> list[str]:
    days = values["days"]
    return [f"{values['kind']} {_money(values['amount'])} for {days} day{'' if days == 1 else 's'}"]


def _checkpoint(values: Mapping[str, Any]) -> list[str]:
    held = [f"{number_text(quantity)} {symbol}" for symbol, quantity in values["positions"].items()]
    orders = values["working_orders"]
    return [
        f"equity {_money(values['equity'])}",
        f"cash {_money(values['cash'])}",
        f"{orders} working order{'' if orders == 1 else 's'}",
        *([] if values["trading_state"] == "active" else [values["trading_state"]]),
        " ".join(["holds", ", ".join(held)]) if held else "flat",
    ]


def _session(values: Mapping[str, Any]) -> list[str]:
    if values.get("ended"):
        return ["the session has come to its end"]
    return [f"{values['name']}: {', '.join(values['symbols'])}", *(f"changed: {line}" for line in values.get("changed", ()))]


def _reset(values: Mapping[str, Any]) -> list[str]:
    what = "the book" if values["of_book"] else "the account"
    parts = [f"{what}, which was {values['state']}", f"by {values['by']} at {utc_text(values['asked_time'])}"]
    return [*parts, values["reason"]] if values["reason"] else parts


def _book(values: Mapping[str, Any]) -> list[str]:
    state = values["trading_state"] if values["limit"] is None else f"{values['trading_state']}: {values['limit']}"
    refused, crossed = sum(values["refused"].values()), sum(values["crossed_lots"].values())
    return [
        f"equity {_money(values['equity'])}",
        f"highest {_money(values['peak'])}",
        state,
        f"let through {values['approved']:,}",
        *([f"refused {refused:,}"] if refused else []),
        *([f"crossed {crossed:,} lots"] if crossed else []),
    ]


_PARTS: Final = {
    "orders": _order,
    "fills": _fill,
    "ended": _ended,
    "trades": _trade,
    "refused": lambda values: [str(values["reason"])],
    "cancels": lambda values: [f"#{values['order_id']}"],
    "amendments": _amended,
    "charges": _charge,
    "risk": lambda values: [f"{values['state']}: {values['reason']}", f"equity {_money(values['equity'])}"],
    "equity": lambda values: [_money(values["equity"])],
    "checkpoints": _checkpoint,
    "session": _session,
    "resets": _reset,
    "book": _book,
}

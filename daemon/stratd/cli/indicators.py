"""stratd list indicators: the catalogue, and what the strategies of a session ask for."""

from __future__ import annotations

import dataclasses
import inspect
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stratd.cli.output import make_table

if TYPE_CHECKING:
    from rich.console import Console

    from stratd.indicators.base import Indicator
    from stratd.indicators.catalogue.listing import Entry


def catalogue() -> list[dict[str, Any]]:
    """Every indicator of the catalogue, as plain values."""
    from stratd.indicators.catalogue.listing import CATALOGUE

    return [_describe(entry) for entry in CATALOGUE]


def _describe(entry: Entry) -> dict[str, Any]:
    spec = entry.spec
    return {
        "name": spec.name,
        "kind": entry.kind,
        "parameters": parameters_of(type(spec)),
        "outputs": list(spec.outputs),
        "talib": list(entry.talib),
        "summary": summary_of(type(spec)),
        "example": spec.label,
        "warmup": spec.warmup,
    }


def parameters_of(kind: type[Indicator]) -> list[dict[str, Any]]:
    """Parameters of an indicator in their order. A default that is an indicator is given by its label."""
    found = []
    for field in dataclasses.fields(kind):  # type: ignore[arg-type]
        required = field.default is dataclasses.MISSING
        default = None if required else field.default
        plain = default if isinstance(default, str | int | float | None) else str(default)
        found.append({"name": field.name, "required": required, "default": plain})
    return found


def signature_of(parameters: list[dict[str, Any]]) -> str:
    """As it is written: `period, source=close`."""
    return ", ".join(one["name"] if one["required"] else f"{one['name']}={_shown(one['default'])}" for one in parameters)


def _shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def summary_of(kind: type[Indicator]) -> str:
    """The first sentence of an indicator's docstring."""
    paragraph = " ".join(inspect.cleandoc(kind.__doc__ or "").partition("\n\n")[0].split())
    sentence: str = re.split(r"(?<![A-Z])\. (?=[A-Z])", paragraph)[0]  # a capital before the stop is an initial
    return sentence.removesuffix(".").replace("`", "") + "."


def print_catalogue(entries: list[dict[str, Any]], console: Console) -> None:
    """A table for each kind. Formulas and authors are left out: they are in docs/indicators.md, and --json has the whole sentence."""
    from rich.text import Text

    for kind in dict.fromkeys(entry["kind"] for entry in entries):
        console.print(Text(kind, style="bold"))
        table = make_table("=indicator", "parameters", "outputs", "TA-Lib", "what it is")
        for entry in entries:
            if entry["kind"] == kind:
                what = re.sub(r" \(.*?\)", "", re.split("[:;]", entry["summary"])[0]).removesuffix(".")
                parameters, outputs = signature_of(entry["parameters"]), ", ".join(entry["outputs"])
                table.add_row(*(Text(cell) for cell in (entry["name"], parameters, outputs, ", ".join(entry["talib"]), what)))
        console.print(table)
        console.print()


def session_requests(file: Path) -> dict[str, Any]:
    """What the strategies of a session ask for, as plain values.

    Raises:
        ConfigError: the session is wrong, or a strategy of it cannot be used.
    """
    from stratd.system.config import load_session
    from stratd.system.requests import loaded_strategies, requests_of

    config = load_session(file)
    with loaded_strategies(config) as (market, loaded, failures):
        asked = requests_of(market, loaded)
    return {
        "session": config.session_name,
        "requests": [
            {
                "strategy": one.strategy,
                "name": one.request.name or None,
                "indicator": one.request.indicator.label,
                "symbol": one.request.symbol,
                "interval": one.request.interval,
                "lazy": one.request.lazy,
                "private": one.request.private,
                "dtype": one.request.dtype,
            }
            for one in asked
        ],
        "computations": len({key for one in asked for key in one.computations}),
        "unshared": sum(len(one.computations) for one in asked),
        "problems": [str(problem) for failure in failures for problem in failure.problems],
    }


def print_requests(document: dict[str, Any], console: Console) -> None:
    """A row for each request, and what is saved by sharing."""
    from rich.text import Text

    requests = document["requests"]
    table = make_table("strategy", "name", "indicator", "=symbol", "=interval", "how")
    for one in requests:
        how = [word for word in ("lazy", "private") if one[word]] + [one["dtype"]] * (one["dtype"] != "float64")
        cells = (one["strategy"], one["name"] or "", one["indicator"], one["symbol"], one["interval"], ", ".join(how))
        table.add_row(*(Text(cell) for cell in cells))
    if requests:
        console.print(table)
        console.print()
    for problem in document["problems"]:
        console.print(Text(problem, style="red"))
    alone = f"; each request for itself would make {document['unshared']}" if requests else ""
    console.print(f"{len(requests)} requests make {document['computations']} computations{alone}", markup=False)

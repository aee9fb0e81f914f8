"""StrategyParams: a strategy's parameters in one place."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from stratd.model import Interval


class StrategyParams(BaseModel):
    """Parameters of a strategy: types, bounds, defaults and search space. Subclass it and add fields.

    The fields here are those that every strategy has; the session's `config` of a strategy sets both.
    A field's search space is declared beside its bounds:
    `fast_period: int = Field(10, ge=2, le=200, json_schema_extra={"search": [5, 10, 20]})`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    symbols: tuple[str, ...] = Field(("*",), description="symbols to trade; * and ? are wildcards")
    interval: Interval = Field(Interval("5m"), description="the interval that on_bars is called for")
    min_quality: float = Field(0.0, ge=0, le=1, description="streams below this quality are held back")

"""The `sizing` of a session: how signals become positions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import BaseModel, Field, ValidationError, ValidatorFunctionWrapHandler, WrapValidator
from pydantic_core import InitErrorDetails, PydanticCustomError

from stratd.core.names import nearest
from stratd.system.feed_config import ConfigModel

if TYPE_CHECKING:
    # Imported where it is made: it needs numpy, which a session file that is wrong should not have to wait for.
    from stratd.portfolio.sizing import Sizing

Positive = Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False)]
Entries = Annotated[int, Field(strict=True, ge=1, description="how often a position is entered on one side")]


class UnitsConfig(ConfigModel):
    """So many units."""

    method: Literal["units"] = Field(description="the way to size")
    units: Positive = Field(description="units of an entry of strength 1")
    max_entries: Entries = 1


class EquityFractionConfig(ConfigModel):
    """So much of the strategy's equity, at the last price."""

    method: Literal["equity_fraction"] = Field(description="the way to size")
    fraction: Positive = Field(description="fraction of equity of an entry of strength 1; above 1 with leverage")
    max_entries: Entries = 1


class TargetWeightConfig(ConfigModel):
    """What the signal's target_weight says; a signal without one changes nothing."""

    method: Literal["target_weight"] = Field(description="the way to size")


class VolatilityTargetConfig(ConfigModel):
    """So much that the position's value is expected to deviate by so much of equity in a year."""

    method: Literal["volatility_target"] = Field(description="the way to size")
    annual_volatility: Positive = Field(description="target, as a fraction of equity, of an entry of strength 1")
    lookback: int = Field(strict=True, ge=3, description="closes that volatility is measured on; at most history_bars")
    max_entries: Entries = 1


class FixedRiskConfig(ConfigModel):
    """So much that a fall to the signal's stop_price costs a fraction of equity; gaps and fees come on top."""

    method: Literal["fixed_risk"] = Field(description="the way to size")
    risk_fraction: Positive = Field(le=1, description="fraction of equity that the stop costs, of an entry of strength 1")
    max_entries: Entries = 1


_METHODS: Final[Mapping[str, type[ConfigModel]]] = {
    "units": UnitsConfig,
    "equity_fraction": EquityFractionConfig,
    "target_weight": TargetWeightConfig,
    "volatility_target": VolatilityTargetConfig,
    "fixed_risk": FixedRiskConfig,
}


def _by_method(value: Any, check: ValidatorFunctionWrapHandler) -> Any:
    """Check against the model of the method alone.

    pydantic's own tagged union puts the tag into the place of an error, where it cannot be told from the key `units`.
    """
    if isinstance(value, BaseModel):
        return check(value)
    if not isinstance(value, Mapping):
        raise ValueError('must be an object such as {"method": "equity_fraction", "fraction": 0.1}, or null')
    method = value.get("method")
    model = _METHODS.get(method) if isinstance(method, str) else None
    models = list(_METHODS.values()) if model is None else [model]
    keys = list(dict.fromkeys(key for kind in models for key in kind.model_fields))
    problems: list[InitErrorDetails] = []
    meant: set[str | None] = set()
    for key in value:
        if key not in keys:
            near = nearest(key, [name for name in keys if name not in value])
            meant.add(near)
            problems.append(_unknown_key(key, value[key], near, method, keys))
    if model is not None:
        try:
            sizing = model.model_validate({key: value[key] for key in value if key in keys})
        except ValidationError as error:
            # A misspelt key is one mistake, not two.
            found = [one for one in error.errors() if one["type"] != "missing" or one["loc"][0] not in meant]
            problems += [
                {"type": one["type"], "loc": one["loc"], "input": one["input"], "ctx": one.get("ctx", {})} for one in found
            ]
    elif "method" in value:
        expected = ", ".join(f"'{name}'" for name in _METHODS)
        problems.append({"type": "literal_error", "loc": ("method",), "input": method, "ctx": {"expected": expected}})
    elif "method" not in meant:
        problems.append({"type": "missing", "loc": ("method",), "input": value})
    if problems:
        raise ValidationError.from_exception_data("sizing", problems)
    return sizing


def _unknown_key(key: str, value: Any, near: str | None, method: Any, keys: list[str]) -> InitErrorDetails:
    owners = [name for name, kind in _METHODS.items() if key in kind.model_fields]
    message = f"is a key of {' and '.join(owners)}, and this is {method}" if owners else "unknown key"
    context = {"suggestion": near} if near else {"allowed": keys}
    # The message goes in as a value, so that braces in it stay what they are.
    return {
        "type": PydanticCustomError("unknown_key", "{message}", {"message": message, **context}),
        "loc": (key,),
        "input": value,
    }


SizingConfig = Annotated[
    Annotated[
        UnitsConfig | EquityFractionConfig | TargetWeightConfig | VolatilityTargetConfig | FixedRiskConfig,
        Field(discriminator="method"),
    ],
    WrapValidator(_by_method),
]


def make_sizing(config: SizingConfig) -> Sizing:
    """The sizing that a session describes."""
    from stratd.portfolio import sizing

    kinds: dict[str, Callable[..., Sizing]] = {
        "units": sizing.UnitsSizing,
        "equity_fraction": sizing.EquityFractionSizing,
        "target_weight": sizing.TargetWeightSizing,
        "volatility_target": sizing.VolatilityTargetSizing,
        "fixed_risk": sizing.FixedRiskSizing,
    }
    return kinds[config.method](**config.model_dump(exclude={"method"}))

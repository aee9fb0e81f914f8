from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from stratd.errors import ConfigError
from stratd.execution.rules import (
    LARGEST_CAPITAL,
    AccountRules,
    AtEnd,
    Commission,
    FillRule,
    Intrabar,
    LimitFill,
    LotRule,
    Slippage,
)
from stratd.portfolio.sizing import (
    EquityFractionSizing,
    FixedRiskSizing,
    TargetWeightSizing,
    UnitsSizing,
    VolatilityTargetSizing,
)
from stratd.risk.limits import Policy, RiskLimits
from stratd.system import account_config
from stratd.system.account_config import AccountConfig, CommissionConfig, JournalConfig, RiskConfig, SlippageConfig
from stratd.system.config import SessionConfig, load_session
from stratd.system.schema import session_schema
from stratd.system.sizing_config import make_sizing
from tests.docs.documents import rows
from tests.support.paths import repo_root

FRACTION = {"method": "equity_fraction", "fraction": 0.5}
NO_ONE = "is not one of the choices"
METHODS = "units, equity_fraction, target_weight, volatility_target, fixed_risk"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The current directory, with files of bars."""
    for name in ("SPY", "IBM"):
        (tmp_path / f"{name}.csv.gz").touch()
    monkeypatch.chdir(tmp_path)


def load(own: dict[str, Any] | None = None, symbols: tuple[Any, ...] = ("SPY", "IBM"), **session: Any) -> SessionConfig:
    """A session with one strategy that says `own` of itself, or with the strategies that `session` lists."""
    data = {
        "session_data_config": {"symbols": list(symbols)},
        "feed": {"path": "."},
        "strategies": [{"module": "a.b", **(own or {})}],
        **session,
    }
    Path("s.json").write_text(json.dumps(data))
    return load_session(Path("s.json"))


def problems_of(own: dict[str, Any] | None = None, **session: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(own, **session)
    return [str(problem).removeprefix("s.json: ") for problem in caught.value.problems]


def rules_of(own: dict[str, Any] | None = None, **session: Any) -> AccountRules:
    config = load(own, **session)
    return config.account_rules(config.strategies[0])


def limits_of(own: dict[str, Any] | None = None, **session: Any) -> RiskLimits:
    config = load(own, **session)
    return config.risk_limits(config.strategies[0])


def sizing_of(own: dict[str, Any] | None = None, **session: Any) -> Any:
    config = load(own, **session)
    return config.sizing(config.strategies[0])


# What a session says, and what a strategy says over it.


def test_account_config_has_the_keys_of_the_dataclasses() -> None:
    def names(kind: Any) -> set[str]:
        return {entry.name for entry in fields(kind)}

    assert set(AccountConfig.model_fields) == names(AccountRules) | {"sizing", "risk"}
    assert set(SlippageConfig.model_fields) == names(Slippage)
    assert set(CommissionConfig.model_fields) == names(Commission)
    assert set(RiskConfig.model_fields) == names(RiskLimits)


def test_account_of_a_session_that_says_nothing_has_the_defaults() -> None:
    assert rules_of() == AccountRules()
    assert limits_of() == RiskLimits()
    assert sizing_of() == EquityFractionSizing(fraction=0.1)
    config = load()
    assert config.book is None
    assert config.journal == JournalConfig(enabled=True, path=None, durable=None, on_restart="resume", on_orphan="alert")


def test_account_rules_are_what_the_session_says() -> None:
    account = {
        "allocated_capital": 5000,
        "fill": "close",
        "latency_seconds": 1.5,
        "intrabar": "optimistic",
        "limit_fill": "touch",
        "participation": 0.25,
        "allow_short": False,
        "lots": "fifo",
        "at_end": "close",
        "leverage": 4,
        "borrow_rate": 0.03,
        "financing_rate": 0.05,
        "seed": 7,
        "slippage": {"bps": 1, "ticks": 2, "range_fraction": 0.1, "random_bps": 3},
        "commission": {"per_share": 0.005, "minimum": 1, "taker_bps": 2, "maker_bps": -0.5, "per_order": 0.1},
    }
    assert rules_of(account=account) == AccountRules(
        allocated_capital=5000.0,
        fill=FillRule.CLOSE,
        latency_seconds=1.5,
        intrabar=Intrabar.OPTIMISTIC,
        limit_fill=LimitFill.TOUCH,
        participation=0.25,
        allow_short=False,
        lots=LotRule.FIFO,
        at_end=AtEnd.CLOSE,
        leverage=4.0,
        borrow_rate=0.03,
        financing_rate=0.05,
        seed=7,
        slippage=Slippage(bps=1.0, ticks=2.0, range_fraction=0.1, random_bps=3.0),
        commission=Commission(per_share=0.005, minimum=1.0, taker_bps=2.0, maker_bps=-0.5, per_order=0.1),
    )


def test_choices_become_those_of_the_dataclasses() -> None:
    """Text equals its StrEnum, but is not the same: rules are told apart by `is`."""
    for made, default in ((rules_of(), AccountRules()), (limits_of(), RiskLimits())):
        for entry in fields(default):
            assert type(getattr(made, entry.name)) is type(getattr(default, entry.name)), entry.name


def test_largest_capital_is_that_of_the_dataclass() -> None:
    assert account_config.LARGEST_CAPITAL == LARGEST_CAPITAL


def test_account_rules_of_a_strategy_override_key_by_key() -> None:
    account = {"lots": "fifo", "participation": 0.5, "slippage": {"bps": 1, "ticks": 2}, "commission": {"per_order": 1}}
    own = {"account": {"participation": None, "seed": 3, "slippage": {"bps": 0}, "commission": {"taker_bps": 4}}}
    assert rules_of(own, account=account) == AccountRules(
        lots=LotRule.FIFO,
        participation=None,
        seed=3,
        slippage=Slippage(bps=0.0, ticks=2.0),
        commission=Commission(per_order=1.0, taker_bps=4.0),
    )


def test_account_rules_of_a_strategy_that_repeats_a_default_override_the_session() -> None:
    assert rules_of({"account": {"lots": "average"}}, account={"lots": "fifo"}).lots is LotRule.AVERAGE


@pytest.mark.parametrize("own", [{"allocated_capital": 7}, {"account": {"allocated_capital": 7}}])
def test_account_rules_allocated_capital_of_a_strategy_overrides_the_session(own: dict[str, Any]) -> None:
    assert rules_of(own, account={"allocated_capital": 5}).allocated_capital == 7.0


def test_account_rules_allocated_capital_null_is_that_of_the_session() -> None:
    assert rules_of({"allocated_capital": None}, account={"allocated_capital": 5}).allocated_capital == 5.0


def test_risk_limits_are_what_the_session_says() -> None:
    numbers = {entry.name: 0.5 for entry in fields(RiskLimits) if entry.type == "float | None"}
    assert len(numbers) == 8
    risk = {
        **numbers,
        "max_orders_per_minute": 3,
        "consecutive_losses": 4,
        "allowed_symbols": ["IBM"],
        "refuse_duplicates": False,
        "daily_loss_policy": "reduce",
        "drawdown_policy": "reduce",
        "consecutive_losses_policy": "halt",
        "exposure_policy": "halt",
    }
    assert limits_of(account={"risk": risk}) == RiskLimits(
        **numbers,
        max_orders_per_minute=3,
        consecutive_losses=4,
        allowed_symbols=("IBM",),
        refuse_duplicates=False,
        daily_loss_policy=Policy.REDUCE,
        drawdown_policy=Policy.REDUCE,
        consecutive_losses_policy=Policy.HALT,
        exposure_policy=Policy.HALT,
    )


@pytest.mark.parametrize("beside", [True, False])
def test_risk_limits_of_a_strategy_override_key_by_key(beside: bool) -> None:
    session = {"max_order_quantity": 10, "max_orders_per_minute": 3, "drawdown_fraction": 0.2}
    risk = {"max_order_quantity": None, "drawdown_fraction": 0.1, "drawdown_policy": "halt"}
    own = {"risk": risk} if beside else {"account": {"risk": risk}}
    assert limits_of(own, account={"risk": session}) == RiskLimits(max_orders_per_minute=3, drawdown_fraction=0.1)


@pytest.mark.parametrize(
    ("said", "made"),
    [
        ({"method": "units", "units": 5}, UnitsSizing(units=5.0)),
        ({"method": "units", "units": 5, "max_entries": 2}, UnitsSizing(units=5.0, max_entries=2)),
        ({"method": "equity_fraction", "fraction": 1.5}, EquityFractionSizing(fraction=1.5)),
        ({"method": "target_weight"}, TargetWeightSizing()),
        (
            {"method": "volatility_target", "annual_volatility": 0.2, "lookback": 20, "max_entries": 3},
            VolatilityTargetSizing(annual_volatility=0.2, lookback=20, max_entries=3),
        ),
        ({"method": "fixed_risk", "risk_fraction": 0.01}, FixedRiskSizing(risk_fraction=0.01)),
        (None, None),
    ],
)
def test_sizing_is_what_is_said(said: Any, made: Any) -> None:
    assert sizing_of(account={"sizing": said}) == made
    assert sizing_of({"sizing": said}) == made
    assert sizing_of({"account": {"sizing": said}}) == made


def test_sizing_of_a_strategy_replaces_that_of_the_session_whole() -> None:
    session = {"sizing": {"method": "units", "units": 5, "max_entries": 4}}
    assert sizing_of({"sizing": {"method": "units", "units": 6}}, account=session) == UnitsSizing(units=6.0)
    assert sizing_of({"sizing": None}, account=session) is None
    assert sizing_of({"sizing": FRACTION}, account={"sizing": None}) == EquityFractionSizing(fraction=0.5)


def test_book_and_journal_are_what_is_said() -> None:
    config = load(
        book={"netting": "internal", "shared_buying_power": True, "capital": 1e6, "risk": {"exposure_fraction": 2}},
        journal={"enabled": False, "path": "j.db", "durable": True, "on_restart": "hold", "on_orphan": "close"},
    )
    assert config.book is not None
    assert (config.book.netting, config.book.shared_buying_power, config.book.capital) == ("internal", True, 1e6)
    assert config.book.risk.exposure_fraction == 2.0
    assert config.journal == JournalConfig(enabled=False, path="j.db", durable=True, on_restart="hold", on_orphan="close")


def test_book_that_says_nothing_has_the_defaults() -> None:
    book = load(book={}).book
    assert book is not None
    assert (book.netting, book.shared_buying_power, book.capital, book.risk) == ("none", False, None, RiskConfig())


# What is wrong.

ACCOUNT: dict[str, tuple[dict[str, Any], list[str]]] = {
    "choice misspelt": ({"fill": "nextopen"}, [f"fill: {NO_ONE} (got \"nextopen\"); did you mean 'next_open'?; allowed: next_open, close"]),
    "no capital": ({"allocated_capital": 0}, ["allocated_capital: must be above 0 (got 0)"]),
    "too much capital": ({"allocated_capital": 5e10}, ["allocated_capital: must be at most 40000000000 (got 50000000000.0)"]),
    "capital that is text": ({"allocated_capital": "5"}, ['allocated_capital: must be a number (got "5")']),
    "true for a number": ({"leverage": True}, ["leverage: must be a number (got true)"]),
    "one for true": ({"allow_short": 1}, ["allow_short: must be true or false (got 1)"]),
    "participation above all": ({"participation": 1.1}, ["participation: must be at most 1 (got 1.1)"]),
    "latency below 0": ({"latency_seconds": -1}, ["latency_seconds: must be at least 0 (got -1)"]),
    "part of a seed": ({"seed": 1.5}, ["seed: must be a whole number (got 1.5)"]),
    "slippage in the trader's favour": ({"slippage": {"bps": -1}}, ["slippage.bps: must be at least 0 (got -1)"]),
    "slippage of the whole price": ({"slippage": {"random_bps": 10_000}}, ["slippage.random_bps: must be below 10000 (got 10000)"]),
    "slippage misspelt": ({"slippage": {"tick": 1}}, ["slippage.tick: unknown key; did you mean 'ticks'?"]),
    "slippage that is a number": ({"slippage": 5}, ["slippage: must be an object (got 5)"]),
    "commission below 0": ({"commission": {"per_share": -1}}, ["commission.per_share: must be at least 0 (got -1)"]),
    "risk misspelt": ({"risk": {"drawdown_fractoin": 0.1}}, ["risk.drawdown_fractoin: unknown key; did you mean 'drawdown_fraction'?"]),
    "risk in percent": ({"risk": {"drawdown_fraction": 5}}, ["risk.drawdown_fraction: must be at most 1 (got 5)"]),
    "limit of nothing": ({"risk": {"max_order_quantity": 0}}, ["risk.max_order_quantity: must be above 0 (got 0)"]),
    "part of a count": ({"risk": {"consecutive_losses": 2.5}}, ["risk.consecutive_losses: must be a whole number (got 2.5)"]),
    "policy that there is not": (
        {"risk": {"exposure_policy": "stop"}},
        [f'risk.exposure_policy: {NO_ONE} (got "stop"); allowed: reduce, halt'],
    ),
    "no symbol allowed": ({"risk": {"allowed_symbols": []}}, ["risk.allowed_symbols: must not be empty (got an empty list)"]),
    "symbol that the session has not": (
        {"risk": {"allowed_symbols": ["SPY", "IBN"]}},
        ["risk.allowed_symbols[1]: is not a symbol of this session (got \"IBN\"); did you mean 'IBM'?"],
    ),
    "sizing that is text": (
        {"sizing": "units"},
        ['sizing: must be an object such as {"method": "equity_fraction", "fraction": 0.1}, or null (got "units")'],
    ),
    "sizing without a method": ({"sizing": {"units": 5}}, ["sizing.method: is missing"]),
    "method misspelt": ({"sizing": {"metod": "units", "units": 5}}, ["sizing.metod: unknown key (got \"units\"); did you mean 'method'?"]),
    "method that there is not": (
        {"sizing": {"method": "unit", "units": 5}},
        [f"sizing.method: {NO_ONE} (got \"unit\"); did you mean 'units'?; allowed: {METHODS}"],
    ),
    "method that is a list": ({"sizing": {"method": ["units"]}}, [f"sizing.method: {NO_ONE} (got a list); allowed: {METHODS}"]),
    "key of another method": (
        {"sizing": {"method": "units", "units": 5, "lookback": 20}},
        ["sizing.lookback: is a key of volatility_target, and this is units (got 20); allowed: method, units, max_entries"],
    ),
    "key of another method for one that is missing": (
        {"sizing": {"method": "fixed_risk", "fraction": 0.01}},
        ["sizing.fraction: is a key of equity_fraction, and this is fixed_risk (got 0.01); did you mean 'risk_fraction'?"],
    ),
    "key of no method": (
        {"sizing": {"method": "target_weight", "{zzz}": 1}},
        ['sizing["{zzz}"]: unknown key (got 1); allowed: method'],
    ),
    "key of the method missing": ({"sizing": {"method": "volatility_target", "lookback": 20}}, ["sizing.annual_volatility: is missing"]),
    "several mistakes in a method": (
        {"sizing": {"method": "units", "units": 0, "max_entries": 0, "zzz": 1}},
        [
            "sizing.units: must be above 0 (got 0)",
            "sizing.max_entries: must be at least 1 (got 0)",
            "sizing.zzz: unknown key (got 1); allowed: method, units, max_entries",
        ],
    ),
    "more than all at risk": (
        {"sizing": {"method": "fixed_risk", "risk_fraction": 2}},
        ["sizing.risk_fraction: must be at most 1 (got 2)"],
    ),
    "two closes": (
        {"sizing": {"method": "volatility_target", "annual_volatility": 0.1, "lookback": 2}},
        ["sizing.lookback: must be at least 3 (got 2)"],
    ),
    "more closes than are held": (
        {"sizing": {"method": "volatility_target", "annual_volatility": 0.1, "lookback": 1001}},
        [
            (
                "sizing.lookback: is more than session_data_config.history_bars, which is 1000: "
                "there would never be enough closes (got 1001)"
            )
        ],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", ACCOUNT)
def test_account_that_is_wrong_says_what(case: str) -> None:
    account, expected = ACCOUNT[case]
    assert problems_of(account=account) == [f"account.{line}" for line in expected]
    assert problems_of({"account": account}) == [f"strategies[0].account.{line}" for line in expected]


def test_risk_and_sizing_of_a_strategy_that_are_wrong_say_what() -> None:
    own = {
        "allocated_capital": -1,
        "risk": {"max_order_quantity": 0, "allowed_symbols": ["IBN"]},
        "sizing": {"method": "units", "units": "all"},
    }
    assert problems_of(own) == [
        "strategies[0].allocated_capital: must be above 0 (got -1)",
        "strategies[0].risk.max_order_quantity: must be above 0 (got 0)",
        "strategies[0].risk.allowed_symbols[0]: is not a symbol of this session (got \"IBN\"); did you mean 'IBM'?",
        'strategies[0].sizing.units: must be a number (got "all")',
    ]


def test_strategy_that_says_a_thing_at_both_places_is_refused() -> None:
    both: dict[str, Any] = {"allocated_capital": 5, "sizing": None, "risk": {}}
    assert problems_of({**both, "account": both}) == [
        f"strategies[0].account.{key}: stands twice, first as strategies[0].{key}" for key in both
    ]


def test_book_and_journal_that_are_wrong_say_what() -> None:
    book = {"netting": "intern", "capital": 0, "risk": {"allowed_symbols": ["IBN"]}}
    journal = {"durable": "yes", "on_restart": "resum", "on_orphan": 1, "file": "x"}
    assert problems_of(book=book, journal=journal) == [
        f"book.netting: {NO_ONE} (got \"intern\"); did you mean 'internal'?; allowed: none, internal",
        "book.capital: must be above 0 (got 0)",
        "book.risk.allowed_symbols[0]: is not a symbol of this session (got \"IBN\"); did you mean 'IBM'?",
        'journal.durable: must be true or false (got "yes")',
        f"journal.on_restart: {NO_ONE} (got \"resum\"); did you mean 'resume'?; allowed: resume, flatten, hold",
        f"journal.on_orphan: {NO_ONE} (got 1); allowed: adopt, close, alert",
        "journal.file: unknown key; allowed: enabled, path, durable, on_restart, on_orphan",
    ]


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_number_that_is_none_is_refused(number: float) -> None:
    for key in ("allocated_capital", "latency_seconds", "participation", "leverage", "borrow_rate", "financing_rate"):
        with pytest.raises(ValidationError):
            AccountConfig.model_validate({key: number})
    for model in (SlippageConfig, CommissionConfig):
        for key in model.model_fields:
            with pytest.raises(ValidationError):
                model.model_validate({key: number})


NUMBERS = st.one_of(
    st.sampled_from([0, 1, 2, 3, -1, 0.5, 1.5, LARGEST_CAPITAL, LARGEST_CAPITAL * 2, 1e300]), st.floats(), st.integers()
)


def builds(validate: Callable[[], Any], build: Callable[[Any], Any]) -> None:
    """What the models let through, the dataclasses take: else a session would fail without naming a key."""
    try:
        model = validate()
    except ValidationError:
        return
    build(model)


@given(st.sampled_from([name for name in AccountConfig.model_fields if name not in ("sizing", "risk")]), NUMBERS)
def test_account_config_that_is_accepted_makes_account_rules(key: str, number: float) -> None:
    session = {"session_name": "s", "session_data_config": {"symbols": ["A"]}, "feed": {"path": "."}}

    def validate() -> SessionConfig:
        return SessionConfig.model_validate({**session, "strategies": [{"module": "a.b"}], "account": {key: number}})

    builds(validate, lambda config: config.account_rules(config.strategies[0]))


@given(st.sampled_from(list(RiskConfig.model_fields)), NUMBERS)
def test_risk_config_that_is_accepted_makes_risk_limits(key: str, number: float) -> None:
    builds(lambda: RiskConfig.model_validate({key: number}), lambda risk: RiskLimits(**risk.model_dump()))


SIZED = [
    {"method": "units", "units": 1},
    {"method": "equity_fraction", "fraction": 1},
    {"method": "volatility_target", "annual_volatility": 1, "lookback": 3},
    {"method": "fixed_risk", "risk_fraction": 1},
]


@given(st.sampled_from(SIZED), st.data())
def test_sizing_config_that_is_accepted_makes_a_sizing(sizing: dict[str, Any], data: st.DataObject) -> None:
    key = data.draw(st.sampled_from([*list(sizing)[1:], "max_entries"]))
    changed = {**sizing, key: data.draw(NUMBERS)}
    builds(lambda: AccountConfig.model_validate({"sizing": changed}).sizing, make_sizing)


# What holds between keys.

EUR = {"symbol": "IBM", "quote": "EUR"}
ONE_CURRENCY = (
    "accounts have one currency, and SPY is quoted in USD; give IBM a session of its own, "
    "or have signals only recorded (account.sizing: null, and no book)"
)


def test_two_quote_currencies_with_a_sizing_are_refused() -> None:
    expected = [f'session_data_config.symbols[1].quote: {ONE_CURRENCY} (got "EUR")']
    assert problems_of(symbols=("SPY", EUR)) == expected
    assert problems_of({"sizing": FRACTION}, symbols=("SPY", EUR), account={"sizing": None}) == expected
    assert problems_of({"account": {"sizing": FRACTION}}, symbols=("SPY", EUR), account={"sizing": None}) == expected
    assert problems_of({"sizing": None}, symbols=("SPY", EUR), book={}) == expected


def test_two_quote_currencies_of_which_one_is_not_written_name_the_symbol() -> None:
    assert problems_of(symbols=(EUR, "SPY")) == [
        (
            "session_data_config.symbols[1]: accounts have one currency, and IBM is quoted in EUR; give SPY a session of its own, "
            'or have signals only recorded (account.sizing: null, and no book) (got "USD")'
        )
    ]


def test_two_quote_currencies_of_signals_alone_are_accepted() -> None:
    load({"sizing": None}, symbols=("SPY", EUR))
    load(symbols=("SPY", EUR), account={"sizing": None})
    sized = {"module": "a.c", "enabled": False, "sizing": FRACTION}
    load(symbols=("SPY", EUR), account={"sizing": None}, strategies=[{"module": "a.b"}, sized])


def test_one_quote_currency_that_is_not_the_default_is_accepted() -> None:
    load(symbols=({"symbol": "SPY", "quote": "EUR"}, EUR), book={})


TWO = [
    {"module": "a.b"},
    {"module": "a.c", "allocated_capital": 0.3},
    {"module": "a.d", "enabled": False, "allocated_capital": 9},
]


def test_shared_capital_below_what_strategies_are_given_is_refused() -> None:
    for strategies in (TWO, [{"module": "a.b", "account": {"allocated_capital": 0.1}}, TWO[1]]):
        session: dict[str, Any] = {"strategies": strategies, "account": {"allocated_capital": 0.1}}
        assert problems_of(book={"shared_buying_power": True, "capital": 0.39}, **session) == [
            (
                "book.capital: is less than what the strategies that share it are given, 0.4 together; "
                "raise it, or lower their allocated_capital (got 0.39)"
            )
        ]
        load(book={"shared_buying_power": True, "capital": 0.4}, **session)
        load(book={"shared_buying_power": True}, **session)
        load(book={"shared_buying_power": False, "capital": 0.39}, **session)


def test_shared_capital_counts_the_default_of_strategies_that_say_nothing() -> None:
    book = {"shared_buying_power": True, "capital": 199_999}
    (problem,) = problems_of(book=book, strategies=[{"module": "a.b"}, {"module": "a.c"}])
    assert "200000 together" in problem


def test_book_of_more_than_can_be_counted_is_refused() -> None:
    many = [{"module": f"a.s{number}", "allocated_capital": 3e10} for number in range(2)]
    assert problems_of(book={}, strategies=many) == [
        (
            "book.capital: the strategies' capital is 60000000000 together, and a book has at most 40000000000; "
            "lower their allocated_capital"
        )
    ]
    load(strategies=many)


def test_lookback_within_the_history_is_accepted() -> None:
    sizing = {"method": "volatility_target", "annual_volatility": 0.1, "lookback": 1001}
    data = {"symbols": ["SPY"], "history_bars": 1001}
    assert load({"sizing": sizing}, session_data_config=data).history_bars == 1001


# What editors and readers are told.


def test_session_schema_gives_sizing_by_its_method_and_enums_as_text() -> None:
    definitions = session_schema()["$defs"]
    union = definitions["StrategyConfig"]["properties"]["sizing"]["anyOf"][0]
    assert union["discriminator"]["propertyName"] == "method"
    assert set(union["discriminator"]["mapping"]) == set(METHODS.split(", "))
    assert definitions["AccountConfig"]["properties"]["fill"]["enum"] == ["next_open", "close"]


def test_session_schema_gives_no_defaults_for_what_a_strategy_leaves_to_the_session() -> None:
    definitions = session_schema()["$defs"]
    for name in ("AccountOver", "SlippageOver", "CommissionOver", "RiskOver"):
        assert not [key for key, entry in definitions[name]["properties"].items() if "default" in entry], name
    own = definitions["StrategyConfig"]["properties"]
    assert not [key for key in ("account", "sizing", "risk") if "default" in own[key]]


def test_sizing_methods_in_the_docs_are_those_of_the_code() -> None:
    listed = rows(repo_root() / "docs" / "configuration.md", "method")
    mapping = session_schema()["$defs"]["AccountConfig"]["properties"]["sizing"]["anyOf"][0]["discriminator"]["mapping"]
    definitions = session_schema()["$defs"]
    for cell, (keys, _) in listed.items():
        definition = definitions[mapping.pop(cell.strip("`")).rpartition("/")[2]]
        assert keys == ", ".join(f"`{key}`" for key in definition["properties"] if key != "method")
    assert not mapping

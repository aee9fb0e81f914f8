"""Cases on real bars: a part of them here, all under `make prove`."""

from __future__ import annotations

import pytest

from ...support.indicator_cases import Case
from ...support.paths import repo_root, shared_data
from .agreement import SHARED, agreements, all_cases, bars_of, files
from .test_cases import check

pytest.importorskip("talib")

CASES = [pytest.param(case, id=f"{family}-{number}-{case.spec}") for number, (family, case) in enumerate(all_cases())]
# Shares with extended hours, a currency in five digits, a coin with many minutes missing.
FILES = {"us_equity/SPY_2013-10": 0.01, "fx/GBPUSD_bid_2012-02": 0.00001, "crypto/UNITTEST_BTC_2017-11_gappy": None}


@pytest.mark.shared_data
@pytest.mark.parametrize("case", CASES)
def test_indicator_on_real_bars_equals_its_oracle(case: Case) -> None:
    shared_data()
    for name, tick in FILES.items():
        check(case, bars_of(SHARED / f"{name}.csv.gz", 1_500), tick)


@pytest.mark.shared_data
@pytest.mark.prove
def test_indicator_on_all_real_bars_equals_its_oracle() -> None:
    shared_data()
    for one in agreements((case for _, case in all_cases()), files()):
        near = one.case.note or one.relative <= max(one.case.rtol, 1e-9) or one.of_largest <= 1e-9
        assert near, f"{one.case.spec}: {one.relative}, {one.of_largest} of the largest"
        assert one.relative < 1e-6, one.case.spec
        assert one.other_rows == 0 or not one.case.same_nan, one.case.spec


def test_agreement_document_has_every_case() -> None:
    rows = (repo_root() / "docs" / "agreement.md").read_text().splitlines()
    shown = [row.split(" | ")[0].removeprefix("| ") for row in rows if row.startswith("| ")][2:]
    assert sorted(shown) == sorted(str(case.spec) for _, case in all_cases())

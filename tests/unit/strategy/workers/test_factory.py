"""WorkerFactory: names to workers, with errors that teach."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from stratd.errors import WorkforceConfigError
from stratd.model import Interval
from stratd.strategy.context_provider import TradingContextProvider
from stratd.strategy.workers import WorkerFactory, WorkerProviders, WorkforceBlueprint
from tests.support.examples import EXAMPLES, loaded

WORKERS = """
from pydantic import Field
from stratd.strategy.workers import ContextWorker, Disposition, ExecutionWorker, Worker, WorkerParams

class LookParams(WorkerParams):
    window: int = Field(5, ge=1, le=9)

class Look(ContextWorker[LookParams]):
    Params = LookParams
    def process(self, tick):
        return Disposition.CONTINUE

class Act(ExecutionWorker):
    def process(self, tick):
        return Disposition.CONTINUE

class Kindless(Worker):
    def process(self, tick):
        return Disposition.CONTINUE
"""
STRATEGY = """
from stratd.strategy.workers import ContextWorker, Disposition, WorkforceStrategy

class Home(WorkforceStrategy):
    pass

class Local(ContextWorker):
    def process(self, tick):
        return Disposition.CONTINUE
"""


def nothing(*_: Any) -> Any:
    raise AssertionError("not used")


PROVIDERS = WorkerProviders(TradingContextProvider(), Interval("5m"), nothing, nothing, nothing, None)


def package(tmp_path: Path, *, as_package: bool) -> None:
    folder = tmp_path / "pack"
    folder.mkdir()
    (folder / "__init__.py").write_text(STRATEGY)
    if as_package:
        (folder / "workers").mkdir()
        (folder / "workers" / "__init__.py").write_text("")
        (folder / "workers" / "some.py").write_text(WORKERS)
    else:
        (folder / "workers.py").write_text(WORKERS)


def blueprint(**kinds: list[dict[str, Any]]) -> WorkforceBlueprint:
    return WorkforceBlueprint.model_validate({f"{kind}_workers": entries for kind, entries in kinds.items()})


@pytest.fixture(params=[True, False], ids=["package", "module"])
def factory(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    package(tmp_path, as_package=request.param)
    with loaded("pack", f"fresh_{request.param}", tmp_path) as module:
        yield WorkerFactory(PROVIDERS, module.Home)


def test_build_finds_workers_beside_the_strategy_and_gives_them_its_providers(factory: WorkerFactory) -> None:
    workers = factory.build(
        blueprint(execution=[{"name": "Act"}], context=[{"name": "Look", "params": {"window": 7}}, {"name": "Local"}])
    )
    assert [worker.name for worker in workers] == ["Look", "Local", "Act"]
    assert workers[0].params.window == 7
    assert all(worker.providers is PROVIDERS and worker.context is PROVIDERS.context for worker in workers)


def test_build_finds_workers_of_a_base_class_elsewhere(factory: WorkerFactory) -> None:
    derived = type("Derived", (factory._home,), {"__module__": __name__})
    assert [worker.name for worker in WorkerFactory(PROVIDERS, derived).build(blueprint(context=[{"name": "Look"}]))] == ["Look"]


def test_build_names_repeated_workers_apart(factory: WorkerFactory) -> None:
    workers = factory.build(blueprint(execution=[{"name": "Act"}, {"name": "Act"}]))
    assert [worker.name for worker in workers] == ["Act", "Act#2"]


def test_build_takes_module_and_class(factory: WorkerFactory) -> None:
    module = type(factory.build(blueprint(context=[{"name": "Look"}]))[0]).__module__
    assert factory.build(blueprint(context=[{"name": f"{module}:Look"}]))[0].name == "Look"


@pytest.mark.parametrize(
    ("kinds", "said"),
    [
        ({"context": [{"name": "Lok"}]}, r"context_workers\[0\].name: no worker 'Lok' beside Home; did you mean 'Look'\?"),
        ({"context": [{"name": "Local"}, {"name": "Zzzzzz"}]}, r"context_workers\[1\].*there: Act, Kindless, Local, Look"),
        ({"context": [{"name": "no_such_module:X"}]}, "No module named 'no_such_module'"),
        ({"context": [{"name": ":X"}]}, "Empty module name"),
        ({"threat": [{"name": "Look"}]}, "Look is of kind context; list it under context_workers"),
        ({"threat": [{"name": "Kindless"}]}, "Kindless has no kind; derive it from ThreatWorker"),
        (
            {"context": [{"name": "Look", "params": {"windw": 3}}]},
            "params.windw: Look has no such parameter; did you mean 'window'",
        ),
        ({"context": [{"name": "Look", "params": {"window": 10}}]}, r"params.window: .*less than or equal to 9 \(got 10\)"),
        ({"execution": [{"name": "Act", "params": {"a": 1}}]}, "params.a: Act has no such parameter; it has: none"),
    ],
)
def test_build_refuses_with_key_and_remedy(factory: WorkerFactory, kinds: Any, said: str) -> None:
    with pytest.raises(WorkforceConfigError, match=said):
        factory.build(blueprint(**kinds))


def test_build_says_all_problems_at_once(factory: WorkerFactory) -> None:
    with pytest.raises(WorkforceConfigError) as caught:
        factory.build(
            blueprint(context=[{"name": "Lok"}], execution=[{"name": "Look"}, {"name": "Act", "params": {"x": 1, "y": 2}}])
        )
    assert len(str(caught.value).splitlines()) == 4


def test_workers_module_with_a_broken_import_is_not_taken_for_absent(tmp_path: Path) -> None:
    package(tmp_path, as_package=False)
    (tmp_path / "pack" / "workers.py").write_text("import no_such_thing_at_all\n")
    with loaded("pack", "fresh_broken", tmp_path) as module, pytest.raises(ModuleNotFoundError, match="no_such_thing_at_all"):
        WorkerFactory(PROVIDERS, module.Home).build(blueprint(context=[{"name": "Local"}]))


def test_strategy_without_workers_module_still_finds_its_own(tmp_path: Path) -> None:
    package(tmp_path, as_package=False)
    (tmp_path / "pack" / "workers.py").unlink()
    with loaded("pack", "fresh_alone", tmp_path) as module:
        assert WorkerFactory(PROVIDERS, module.Home).build(blueprint(context=[{"name": "Local"}]))[0].name == "Local"


@pytest.mark.parametrize(
    "raw", [{}, {"context_workers": []}, {"context_wrkers": [{"name": "A"}]}, {"context_workers": [{"nam": "A"}]}]
)
def test_blueprint_refuses_what_is_empty_or_unknown(raw: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        WorkforceBlueprint.model_validate(raw)


def test_module_and_class_mean_the_strategys_own_load_where_they_are_part_of_it() -> None:
    from stratd.strategy.plugin import load_strategy, unload

    home = load_strategy("strategies.examples.ict_smc", root=EXAMPLES.parents[1], unique_name="factory_test")
    try:
        factory = WorkerFactory(PROVIDERS, home)
        public = "strategies.examples.ict_smc.workers.detection:MarketStructureDetector"
        by_path, beside, relative = (
            factory.build(blueprint(context=[{"name": name}]))[0]
            for name in (public, "MarketStructureDetector", "workers.detection:MarketStructureDetector")
        )
        assert type(by_path) is type(beside)
        assert type(relative) is type(beside)
        assert type(beside).__module__.startswith(home.__module__)
    finally:
        unload(home)


def test_module_of_the_load_with_a_broken_import_is_not_looked_for_elsewhere(tmp_path: Path) -> None:
    package(tmp_path, as_package=False)
    (tmp_path / "pack" / "extra.py").write_text("import no_such_thing_at_all\n")
    with loaded("pack", "fresh_extra", tmp_path) as module, pytest.raises(WorkforceConfigError, match="no_such_thing_at_all"):
        WorkerFactory(PROVIDERS, module.Home).build(blueprint(context=[{"name": "extra:A"}]))

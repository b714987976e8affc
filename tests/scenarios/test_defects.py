"""The invariants find defects: each one that is planted turns a short scenario red, which is green without it."""

from __future__ import annotations

import pytest

from node.sim.checks.base import Violation
from node.sim.scenario import Scenario, run
from node.wire.limits import LINKS_ALL_MAX
from tests.scenarios.defects import DEFECTS, Defect


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.name)
def test_planted_defect_is_caught(defect: Defect, monkeypatch: pytest.MonkeyPatch) -> None:
    defect.plant(monkeypatch)
    found = {violation.invariant for violation in violations(defect.scenario)}
    assert found & set(defect.caught_by), f"not caught; found were {sorted(found)}"


def _scenarios() -> list[Scenario]:
    distinct: list[Scenario] = []
    for defect in DEFECTS:
        if defect.scenario not in distinct:
            distinct.append(defect.scenario)
    return distinct


@pytest.mark.slow
@pytest.mark.parametrize("scenario", _scenarios(), ids=range(len(_scenarios())))
def test_the_same_scenario_is_green_without_the_defect(scenario: Scenario) -> None:
    assert [str(violation) for violation in violations(scenario)] == []


def violations(scenario: Scenario) -> tuple[Violation, ...]:
    """What the scenario breaks; large networks, which show nothing about cryptography, do without it."""
    return run(scenario, 1, is_cheap=scenario.nodes > LINKS_ALL_MAX).violations

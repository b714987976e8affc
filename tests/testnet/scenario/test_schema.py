"""The schema is a schema, and knows every kind of fault."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from node.testnet.scenario.faults import KINDS
from node.testnet.scenario.parse import load_scenario
from node.testnet.scenario.schema import SCHEMA
from node.types import SECOND

SCENARIOS = Path(__file__).parents[3] / "scripts" / "scenarios"
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


def scenario(**entry: object) -> dict[str, object]:
    return {"schema": 1, "title": "t", "timeline": [{"at": "1s", **entry}]}


def test_the_schema_is_valid_itself() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_every_kind_of_fault_can_be_written() -> None:
    assert set(KINDS) <= set(SCHEMA["properties"]["timeline"]["items"]["properties"])


@pytest.mark.parametrize(
    "entry",
    [
        {"loss": "5%"},
        {"loss": {"share": 0.05}},
        {"partition": "majority"},
        {"partition": {"shape": "groups", "groups": [["seed"], ["node-1", "node-2"]]}},
        {"kill": None, "target": {"pick": 2, "from": ["us", "eu"]}},
        {"bursts": {"p": "1%", "r": "20%"}, "target": "node-1", "direction": "out"},
    ],
)
def test_faults_in_their_short_and_long_forms_are_accepted(entry: dict[str, object]) -> None:
    assert not list(VALIDATOR.iter_errors(scenario(**entry)))


@pytest.mark.parametrize(
    "entry",
    [
        {"los": "5%"},
        {"loss": "5 apples"},
        {"loss": -1},
        {"loss": None},
        {"partition": "circle"},
        {"bursts": "5%"},
        {"kill": {"politely": True}},
        {"target": {"pick": 0}},
        {"at": []},
    ],
)
def test_anything_else_is_refused(entry: dict[str, object]) -> None:
    assert list(VALIDATOR.iter_errors(scenario(**entry)))


def test_the_file_for_editors_is_this_schema() -> None:
    written = json.loads((SCENARIOS / "schema.json").read_text())
    assert written == SCHEMA, "python -m node.testnet.scenario.schema > scripts/scenarios/schema.json"


@pytest.mark.parametrize("path", sorted(SCENARIOS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_scenario_fits_the_schema_and_lasts_a_minute_and_a_half_at_most(path: Path) -> None:
    assert not list(VALIDATOR.iter_errors(yaml.safe_load(path.read_text())))
    assert load_scenario(path).length <= 60 * SECOND


def test_two_dozen_scenarios_and_more_are_shipped() -> None:
    assert len(list(SCENARIOS.glob("*.yaml"))) >= 24

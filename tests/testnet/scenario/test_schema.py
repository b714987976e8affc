"""The schema is a schema, and knows every kind of fault."""

from __future__ import annotations

import jsonschema
import pytest

from node.testnet.scenario.faults import KINDS
from node.testnet.scenario.schema import SCHEMA

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

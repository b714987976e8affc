"""The tables of the document are those of the schema."""

from __future__ import annotations

from pathlib import Path

import yaml

from node.testnet.scenario.faults import KINDS
from node.testnet.scenario.parse import parse_scenario
from node.testnet.scenario.reference import _fault, reference
from node.testnet.scenario.schema import SCHEMA

DOCUMENT = Path(__file__).parents[3] / "docs" / "CHAOS.md"


def test_the_document_has_the_tables_of_the_code() -> None:
    text = DOCUMENT.read_text()
    begin = "<!-- made by python -m node.testnet.scenario.reference -->\n"
    kept = text.partition(begin)[2].partition("\n<!-- end -->")[0]
    assert kept.strip() == reference().strip(), "run `python -m node.testnet.scenario.reference`"


def test_every_key_and_kind_is_in_it() -> None:
    text = reference()
    assert all(f"| `{name}` |" in text for name in [*SCHEMA["properties"], *KINDS])


def test_every_example_of_a_fault_can_be_run() -> None:
    for name, kind in KINDS.items():
        entry = yaml.safe_load(_fault(name, kind))
        document = {"schema": 1, "title": "x", "topology": {"nodes": 4}, "timeline": [entry]}
        parse_scenario(yaml.safe_dump(document), file="x", name="x")

from __future__ import annotations

from pathlib import Path

import pytest

from node.config.fields import FIELDS, Field
from node.config.network import NetworkConfig
from tests.config.rows import documented_row

DOCUMENT = (Path(__file__).parents[2] / "docs" / "CONFIGURATION.md").read_text()


def test_every_default_is_inside_its_range() -> None:
    config = NetworkConfig()

    for name, field in FIELDS.items():
        value = getattr(config, name)
        assert field.kind.check(value) == value, name


def test_every_field_says_what_it_does_and_what_is_allowed() -> None:
    for field in FIELDS.values():
        assert field.help, field.name
        assert field.kind.allowed, field.name


def test_names_of_variables_and_flags_follow_from_the_field() -> None:
    assert FIELDS["min_rto"].variable == "POSITRON_MIN_RTO"
    assert FIELDS["min_rto"].flag == "--min-rto"


@pytest.mark.parametrize("field", FIELDS.values(), ids=lambda field: field.name)
def test_every_field_is_documented_as_it_is(field: Field) -> None:
    assert documented_row(field) in DOCUMENT.splitlines()


def test_the_document_has_no_other_fields() -> None:
    rows = DOCUMENT.split("## Fields")[1].splitlines()

    assert len([row for row in rows if row.startswith("| `")]) == len(FIELDS)
    assert f"{len(FIELDS)} fields" in DOCUMENT

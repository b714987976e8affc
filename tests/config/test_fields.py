from __future__ import annotations

from node.config.fields import FIELDS
from node.config.network import NetworkConfig


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

from __future__ import annotations

from node.types import format_address


def test_addresses_are_written_as_people_write_them() -> None:
    assert format_address(("10.0.0.1", 8888)) == "10.0.0.1:8888"
    assert format_address(("fd00::1", 8888)) == "[fd00::1]:8888"

from __future__ import annotations

import pytest

from node.types import Duration, canonical_address, format_address, median_of


def test_addresses_are_written_as_people_write_them() -> None:
    assert format_address(("10.0.0.1", 8888)) == "10.0.0.1:8888"
    assert format_address(("fd00::1", 8888)) == "[fd00::1]:8888"


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("0:0:0:0:0:0:0:1", "::1"),
        ("FD00::00AB", "fd00::ab"),
        ("fe80::1%eth0", "fe80::1%eth0"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("no:address", "no:address"),
        ("localhost", "localhost"),
    ],
)
def test_an_address_has_one_canonical_form(written: str, canonical: str) -> None:
    assert canonical_address((written, 9)) == (canonical, 9)


@pytest.mark.parametrize(("offsets", "middle"), [([7], 7), ([3, 1], 1), ([9, -5, 2], 2), ([4, 1, 3, 2], 2)])
def test_the_median_is_the_middle_one_or_the_lower_of_two(offsets: list[Duration], middle: Duration) -> None:
    assert median_of(offsets) == middle

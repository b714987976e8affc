"""Quantities as people write them."""

from __future__ import annotations

import re

import pytest

from node.testnet.scenario.quantities import BITS, BYTES, DURATION, FREQUENCY, SHARE, BadQuantity, Quantity
from node.types import MILLISECOND, SECOND

ALL = (BITS, BYTES, DURATION, FREQUENCY, SHARE)


@pytest.mark.parametrize(
    ("quantity", "text", "value"),
    [
        (DURATION, "20ms", 20 * MILLISECOND),
        (DURATION, 1.5, 1.5 * SECOND),
        (DURATION, "2 m", 120 * SECOND),
        (SHARE, "5%", 0.05),
        (SHARE, 0.05, 0.05),
        (BITS, "10mbit", 10e6),
        (BYTES, "2KiB", 2048),
        (FREQUENCY, "30/m", 0.5),
    ],
)
def test_a_quantity_is_read_in_its_base_unit(quantity: Quantity, text: object, value: float) -> None:
    assert quantity.parse(text) == pytest.approx(value)


@pytest.mark.parametrize("quantity", ALL, ids=lambda quantity: quantity.name)
@pytest.mark.parametrize("text", ["", "x", "-1", "1 parsec", True, None, [], "nan", "1e99", "5%5"])
def test_anything_else_is_refused_with_what_is_allowed(quantity: Quantity, text: object) -> None:
    with pytest.raises(BadQuantity, match="such as"):
        quantity.parse(text)


@pytest.mark.parametrize(("quantity", "text"), [(SHARE, "101%"), (SHARE, 1.01), (BITS, "1bit"), (DURATION, "25h")])
def test_a_quantity_out_of_range_is_refused(quantity: Quantity, text: object) -> None:
    with pytest.raises(BadQuantity):
        quantity.parse(text)


@pytest.mark.parametrize("quantity", ALL, ids=lambda quantity: quantity.name)
def test_what_is_shown_can_be_read_back_and_fits_the_pattern(quantity: Quantity) -> None:
    for value in (quantity.low, (quantity.low + quantity.high) / 3, quantity.high):
        shown = quantity.show(value)
        assert quantity.parse(shown) == pytest.approx(value, rel=1e-5)
        assert re.search(quantity.pattern, shown)

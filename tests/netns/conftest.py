"""Fixtures of the tests that need hosts of their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.netns.hosts import Hosts


@pytest.fixture
def hosts() -> Iterator[Hosts]:
    """Two hosts on one cable, unimpaired."""
    made = Hosts()
    yield made
    made.close()

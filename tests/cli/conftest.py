"""Signals of a process that runs more tests after this one."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from node.cli.ending import SIGNALS


@pytest.fixture
def handlers() -> Iterator[None]:
    """What signals do is as before afterwards: `Ending` leaves them ignored, and every child would inherit that."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)

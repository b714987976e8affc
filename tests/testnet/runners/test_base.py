"""Every runner has everything that a conductor asks for."""

from __future__ import annotations

import inspect

from node.testnet.runners.base import Runner
from node.testnet.runners.sim import SimRunner
from tests.testnet.run.standin import StandIn


def test_runners_answer_everything_that_is_asked_of_one() -> None:
    asked = [name for name, _ in inspect.getmembers(Runner, inspect.isfunction) if not name.startswith("_")]
    for runner in (SimRunner, StandIn):
        assert all(callable(getattr(runner, name, None)) for name in asked)

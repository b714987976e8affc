"""How a command of `testnet` ends when it does not succeed; each becomes one line on standard error."""

from __future__ import annotations

__all__ = ["TestnetError", "TestnetFailed", "TestnetMisused"]


class TestnetError(Exception):
    """Base of the errors of this package. status: the exit status of the command."""

    __test__ = False  # named for what it is about, not a test
    status = 1


class TestnetFailed(TestnetError):
    """The environment or the testnet does not do what was asked of it."""


class TestnetMisused(TestnetError):
    """What was asked can never work."""

    status = 2

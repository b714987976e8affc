"""How a command of `testnet` ends when it does not succeed; each becomes one line on standard error."""

from __future__ import annotations

__all__ = ["NotApplied", "TestnetError", "TestnetFailed", "TestnetMisused", "TestnetUnsupported"]


class TestnetError(Exception):
    """Base of the errors of this package. status: the exit status of the command."""

    __test__ = False  # named for what it is about, not a test
    status = 1


class TestnetFailed(TestnetError):
    """The environment or the testnet does not do what was asked of it."""


class TestnetMisused(TestnetError):
    """What was asked can never work."""

    status = 2


class NotApplied(TestnetFailed):
    """A link or a fault cannot take effect here, so nothing would be shown."""

    status = 3


class TestnetUnsupported(TestnetError):
    """What was asked for works elsewhere, and neither on this machine nor with this runner."""

    status = 127

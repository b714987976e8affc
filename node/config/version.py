"""The version of the installed package and how it was built, for people and for metrics; never for decisions."""

from __future__ import annotations

from functools import cache

__all__ = ["is_compiled", "package_version"]


@cache
def package_version() -> str:
    """Such as `0.1.0`; `unknown` when the package runs from a source tree that was not installed."""
    from importlib import metadata

    try:
        return metadata.version("positron-testnet")
    except metadata.PackageNotFoundError:
        return "unknown"


def is_compiled() -> bool:
    """Whether the pure core runs as machine code (`scripts/compile`)."""
    from node.wire import varint

    return not varint.__file__.endswith(".py")

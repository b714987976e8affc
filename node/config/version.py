"""The version of the installed package, for people and for metrics; never for decisions."""

from __future__ import annotations

from functools import cache

__all__ = ["package_version"]


@cache
def package_version() -> str:
    """Such as `0.1.0`; `unknown` when the package runs from a source tree that was not installed."""
    from importlib import metadata

    try:
        return metadata.version("positron-testnet")
    except metadata.PackageNotFoundError:
        return "unknown"

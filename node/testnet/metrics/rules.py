"""Reads the recording rules of the testnet's Prometheus, for those who compute the same figures without it."""

from __future__ import annotations

from pathlib import Path

import yaml

__all__ = ["RULES", "recorded"]

RULES = Path(__file__).with_name("rules.yml")
"""What the server of `docker compose` has as well."""


def recorded() -> dict[str, str]:
    """Expression by name of the rule."""
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return {str(rule["record"]): str(rule["expr"]).strip() for group in groups for rule in group["rules"]}

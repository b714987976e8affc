"""Whether the settings that a scenario gives to all nodes are ones that a node takes, and a testnet leaves open."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from node.config import FIELDS, NetworkConfig
from node.config.kinds import Unacceptable
from node.config.network import ConflictError
from node.testnet.scenario.wording import nearest, shown

__all__ = ["OWN", "wrong_settings"]

OWN = (
    "host", "port", "tcp_port", "advertise_host", "bootstrap_nodes", "is_seed", "network_id", "name", "data_dir",
    "enable_http", "metrics_host", "metrics_port", "api_token", "api_token_file", "api_hosts", "chaos_control",
    "health_file", "impairment_file",
)  # fmt: skip
"""Settings that a testnet gives to each of its nodes itself."""


def wrong_settings(values: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """The name of each setting that cannot be, and what is wrong with it."""
    is_sound = True
    for name, value in values.items():
        wrong = _wrong(name, value)
        if wrong:
            is_sound = False
            yield name, wrong
    if is_sound:
        try:
            NetworkConfig(port=0, **values)  # type: ignore[arg-type]  # each was checked by its own kind
        except ConflictError as error:
            for conflict in error.conflicts:
                yield conflict.names[0], conflict.text


def _wrong(name: str, value: object) -> str:
    if name in OWN:
        return "the testnet gives it to each node itself"
    if name not in FIELDS:
        open_to_all = [one for one in FIELDS if one not in OWN]
        return f"unknown; {nearest(name, open_to_all)}allowed is one of {', '.join(open_to_all)}"
    try:
        FIELDS[name].kind.check(value)
    except Unacceptable:
        return f"{shown(value)}: allowed is {FIELDS[name].kind.allowed}"
    return ""

"""What a running node asks of its links now, by its own account: the base, and every fault on top of it.

Input is the answer of a node's `/api/v1/chaos`; output are settings of links.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from node.impairment.combination import combined
from node.impairment.link import LinkSettings
from node.impairment.plain import from_plain

__all__ = ["as_answer", "asked_of", "faults_on"]


def asked_of(answer: Mapping[str, Any], host: str) -> LinkSettings:
    """What the link from the node that answered to that host is asked to do."""
    settings = from_plain(answer["hosts"].get(host, answer["default"]))
    for fault in answer["faults"]:
        if _concerns(fault, host):
            settings = combined(settings, from_plain(fault["settings"]))
    return settings


def as_answer(orders: Iterable[tuple[str, Mapping[str, Any]]]) -> dict[str, Any]:
    """What a node would answer that was given all of these orders, as a keeper knows them."""
    found: dict[str, Any] = {"hosts": {}, "default": {}, "faults": []}
    for command, body in orders:
        if command == "links":
            found["hosts"] = body["hosts"]
        elif command == "faults":
            found["faults"].append(body)
    return found


def faults_on(answer: Mapping[str, Any], host: str) -> list[str]:
    """The steps of the faults on that link."""
    return [fault["step"] for fault in answer["faults"] if _concerns(fault, host)]


def _concerns(fault: Mapping[str, Any], host: str) -> bool:
    return fault["hosts"] is None or host in fault["hosts"]

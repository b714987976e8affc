"""Defects that a node could have, planted in the processes of one testnet; nothing in the product can switch one on.

Each is named to `ProcRunner(prepare=...)` and is called in the process of every node, before it takes part.
"""

from __future__ import annotations

from typing import Any

from node.gossip.store import SeenIds
from node.gossip.window import OriginTable
from node.impairment.wire import Wire
from node.node.engine import Engine
from node.transport.recovery import Recovery

__all__ = ["dedup_off", "never_heals", "retransmission_off"]


def retransmission_off(_engine: Engine) -> None:
    """What is lost stays lost."""
    setattr(Recovery, "_detect_lost", lambda *_: [])  # noqa: B010
    setattr(Recovery, "next_timeout", _nothing)  # noqa: B010


def dedup_off(_engine: Engine) -> None:
    """Every copy of a message is a new message."""
    setattr(SeenIds, "__contains__", lambda _, __: False)  # noqa: B010
    setattr(OriginTable, "is_new", lambda *_: True)  # noqa: B010


def never_heals(_engine: Engine) -> None:
    """A partition that nobody ends: demands have no limit, and healing does nothing."""
    setattr(Wire, "heal", lambda *_: [])  # noqa: B010
    setattr(Wire, "_expire", _nothing)  # noqa: B010


def _nothing(*_: Any, **__: Any) -> None:
    return None

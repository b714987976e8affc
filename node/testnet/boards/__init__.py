"""The panels that show a testnet, as plain values, from which boards, reports and tests are made."""

from __future__ import annotations

from node.testnet.boards.chaos import CHAOS
from node.testnet.boards.gossip import GOSSIP
from node.testnet.boards.link import LINK
from node.testnet.boards.links import LINKS
from node.testnet.boards.node import NODE
from node.testnet.boards.overview import OVERVIEW
from node.testnet.boards.spec import Board

__all__ = ["BOARDS"]

BOARDS: tuple[Board, ...] = (OVERVIEW, NODE, LINKS, LINK, GOSSIP, CHAOS)
"""The first one is the home board."""

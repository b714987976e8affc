"""Finds the running node that a command asks: by --url, by the same settings as the node's, or by POSITRON_URL.

Input is the parsed command line and the environment; output is a `Client`.
"""

from __future__ import annotations

import argparse
import os

from node.cli.client import Client
from node.cli.flags import config_flags
from node.config import URL_VARIABLE, load, read_token

__all__ = ["node_of", "nodes_of"]

_ACCESS_FIELDS = ("api_token", "api_token_file")
"""Settings that say how to ask a node, not where it is."""


def node_of(arguments: argparse.Namespace) -> Client:
    """The node that the command line, or else the environment, or else the configuration means."""
    return _client(arguments, arguments.url)


def nodes_of(arguments: argparse.Namespace) -> list[Client]:
    """As `node_of` where --url may be given several times."""
    return [_client(arguments, url) for url in arguments.url or [None]]


def _client(arguments: argparse.Namespace, url: str | None) -> Client:
    flags = config_flags(arguments)
    is_placed = any(name not in _ACCESS_FIELDS for name in flags)
    if url is None and not is_placed:
        url = os.environ.get(URL_VARIABLE) or None
    config = load(flags=flags, path=arguments.config).config
    return Client(url if url is not None else config.http_url, token=read_token(config))

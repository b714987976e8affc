"""Opens the TCP sockets that a node listens on, and says in one line what is in the way and how to go round it.

Knows nothing of what the sockets are for, beyond the words of its messages.
"""

from __future__ import annotations

import os
import socket

from node.config import FIELDS, format_address
from node.errors import StartError

__all__ = ["name_the_way_out", "open_tcp_listener"]

BACKLOG = 128
"""Connections that may wait to be accepted; the usual limit of the kernel."""


def open_tcp_listener(host: str, port: int) -> socket.socket:
    """A bound, listening socket; host: an IP literal. OSError as the kernel says it."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=BACKLOG, dualstack_ipv6=host == "::")


def open_http_listener(host: str, port: int) -> socket.socket:
    """As `open_tcp_listener` for metrics and API; StartError names the port and how to choose another."""
    try:
        return open_tcp_listener(host, port)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        text = f"cannot listen on TCP {format_address((host, port))} for metrics and API: {reason}"
        raise StartError(name_the_way_out(text, "metrics_port")) from error


def name_the_way_out(text: str, field: str) -> str:
    """The text with how to choose another value for the field."""
    return f"{text}; choose another port with {FIELDS[field].flag} or {FIELDS[field].variable}"

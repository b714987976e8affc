"""Opens the TCP sockets that a node listens on, and says in one line what is in the way and how to go round it.

Knows nothing of what the sockets are for, beyond the words of its messages.
"""

from __future__ import annotations

import errno
import os
import socket

from node.config import FIELDS, format_address
from node.errors import StartError
from node.transport.addresses import listening_address

__all__ = ["open_http_listener", "open_tcp_listener", "with_the_way_out"]

BACKLOG = 128
"""Connections that may wait to be accepted; the usual limit of the kernel."""


def open_tcp_listener(host: str, port: int) -> socket.socket:
    """A bound, listening socket; host: an IP literal. OSError as the kernel says it."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=BACKLOG, dualstack_ipv6=host == "::")


async def open_http_listener(host: str, port: int) -> socket.socket:
    """As `open_tcp_listener` for metrics and API; host may be a name. StartError says what else to choose."""
    try:
        return open_tcp_listener(*await listening_address("TCP", (host, port)))
    except StartError as error:
        raise with_the_way_out(str(error), error.__cause__, host="metrics_host", port="metrics_port") from error
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        text = f"cannot listen on TCP {format_address((host, port))} for metrics and API: {reason}"
        raise with_the_way_out(text, error, host="metrics_host", port="metrics_port") from error


def with_the_way_out(text: str, cause: BaseException | None, *, host: str, port: str) -> StartError:
    """The error to raise: the text, and how to choose another value. host, port: the fields that may be in the way."""
    is_port = isinstance(cause, OSError) and cause.errno in (errno.EADDRINUSE, errno.EACCES)
    what, field = ("port", FIELDS[port]) if is_port else ("address", FIELDS[host])
    return StartError(f"{text}; choose another {what} with {field.flag} or {field.variable}")

"""Who may ask: the bearer token, and the names under which a request may address this node.

Knows nothing of nodes. A page in a browser on this machine can reach a port on loopback: by name, after its own name
was made to lead here (DNS rebinding), or by a form. The first is refused by the Host header, the second by Origin.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Iterable
from http import HTTPStatus

from node.api.problems import RequestProblem

__all__ = ["Access"]


class Access:
    """token: "" for none. hosts: names with a dot by which the node may be asked, beside addresses and short names."""

    def __init__(self, token: str = "", hosts: Iterable[str] = ()) -> None:
        self._token = token.encode()
        self._hosts = frozenset(host.lower().rstrip(".") for host in hosts)

    def check_target(self, target: str, host: str | None) -> None:
        """Refuses a request for what a stranger could have made to lead here: by its target where that names a host
        (RFC 9112 §3.2.2), else by its Host header.
        """
        scheme, separator, rest = target.partition("://")
        if separator and "/" not in scheme:
            host = rest.partition("/")[0].rpartition("@")[2]
        self.check_host(host)

    def check_host(self, host: str | None) -> None:
        """Refuses a host that could have been made to lead here by a stranger.

        Addresses cannot be rebound, and a name without a dot (localhost, a container's) is no stranger's to give.
        """
        if host is None:
            return
        name = _name_of(host)
        if name in self._hosts or "." not in name or name.endswith(".localhost") or _is_address(name):
            return
        raise RequestProblem(
            HTTPStatus.FORBIDDEN, f"the host {host[:80]!r} is not known here; allow it with the setting api_hosts"
        )

    def check_token(self, authorization: str | None) -> None:
        """Refuses a request without the token, where there is one; takes the same time for any wrong one."""
        if not self._token:
            return
        scheme, _, given = (authorization or "").partition(" ")
        token = given.strip().encode(errors="surrogateescape")
        if scheme.lower() != "bearer" or not hmac.compare_digest(token, self._token):
            raise RequestProblem(
                HTTPStatus.UNAUTHORIZED, "a bearer token is needed: Authorization: Bearer and the setting api_token"
            )

    @staticmethod
    def check_origin(origin: str | None) -> None:
        """Refuses a web page what changes something; a program sends no Origin."""
        if origin is not None:
            raise RequestProblem(HTTPStatus.FORBIDDEN, "requests from web pages are not allowed")


def _name_of(host: str) -> str:
    """The name in `name`, `name:port`, `[ipv6]` or `[ipv6]:port`."""
    text = host.strip().lower()
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0].rstrip(".")


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True

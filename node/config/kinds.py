"""Kinds of configuration values: what each accepts as text, what as a native value, and how it names its range.

Knows nothing of which fields exist or where a value comes from. Text comes from the environment and from flags,
native values from TOML and from Python callers; out comes the one normal form, or `Unacceptable`.
"""

from __future__ import annotations

import ipaddress
import math
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from node.types import Address, format_address

__all__ = [
    "Addresses",
    "Choice",
    "Host",
    "Hosts",
    "Integer",
    "Kind",
    "Number",
    "PublicAddress",
    "Secret",
    "Switch",
    "Text",
    "Unacceptable",
    "format_address",
    "parse_address",
]

_HOST_NAME = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9_]([A-Za-z0-9_-]{0,62})(\.[A-Za-z0-9_][A-Za-z0-9_-]{0,62})*\.?\Z")
_PORT = re.compile(r"[0-9]{1,5}\Z")
_PATH_CHARACTERS_MAX = 4096


class Unacceptable(ValueError):
    """The value is outside what its kind allows; the caller knows the value and asks the kind for the range."""


class Kind(Protocol):
    """One kind of value."""

    @property
    def allowed(self) -> str:
        """What is accepted, as the end of the sentence `allowed is ...`."""
        ...

    def from_text(self, text: str) -> object:
        """The normal form of a value written as text; raises Unacceptable."""
        ...

    def check(self, value: object) -> object:
        """The normal form of a native value; raises Unacceptable."""
        ...


@dataclass(frozen=True, slots=True)
class Integer:
    """Whole numbers from `low` to `high`, both included."""

    low: int
    high: int

    @property
    def allowed(self) -> str:
        return f"a whole number from {self.low} to {self.high}"

    def from_text(self, text: str) -> object:
        if not re.fullmatch(r"[+-]?[0-9]{1,20}", text.strip()):
            raise Unacceptable(text)
        return self.check(int(text))

    def check(self, value: object) -> object:
        if not isinstance(value, int) or isinstance(value, bool) or not self.low <= value <= self.high:
            raise Unacceptable(value)
        return value


@dataclass(frozen=True, slots=True)
class Number:
    """Finite numbers from `low` to `high`, both included, in `unit`."""

    low: float
    high: float
    unit: str

    @property
    def allowed(self) -> str:
        return f"a number of {self.unit} from {self.low:g} to {self.high:g}"

    def from_text(self, text: str) -> object:
        try:
            return self.check(float(text))
        except ValueError as error:
            raise Unacceptable(text) from error

    def check(self, value: object) -> object:
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise Unacceptable(value)
        if not math.isfinite(value) or not self.low <= value <= self.high:
            raise Unacceptable(value)
        return float(value)


@dataclass(frozen=True, slots=True)
class Switch:
    """True or false."""

    @property
    def allowed(self) -> str:
        return "true or false"

    def from_text(self, text: str) -> object:
        word = text.strip().lower()
        if word in ("true", "yes", "on", "1"):
            return True
        if word in ("false", "no", "off", "0"):
            return False
        raise Unacceptable(text)

    def check(self, value: object) -> object:
        if not isinstance(value, bool):
            raise Unacceptable(value)
        return value


@dataclass(frozen=True, slots=True)
class Text:
    """Text that matches a pattern as a whole; `allowed` says in words what the pattern says."""

    pattern: str
    allowed: str

    def from_text(self, text: str) -> object:
        return self.check(text)

    def check(self, value: object) -> object:
        if not isinstance(value, str) or not re.fullmatch(self.pattern, value):
            raise Unacceptable(value)
        return value


@dataclass(frozen=True, slots=True)
class FilePath:
    """A path of a file or directory; `~` in front is the home directory, as in a shell. absence: what "" means."""

    absence: str

    @property
    def allowed(self) -> str:
        return f"a path, or empty {self.absence}"

    def from_text(self, text: str) -> object:
        return self.check(text)

    def check(self, value: object) -> object:
        if not isinstance(value, str) or len(value) > _PATH_CHARACTERS_MAX or "\0" in value:
            raise Unacceptable(value)
        expanded = os.path.expanduser(value)
        if expanded.startswith("~"):
            # Nobody is called that; a directory of that name would be a surprise, and can be had as ./~name.
            raise Unacceptable(value)
        return expanded


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few words; upper and lower case are the same, `normal` makes the form that is kept."""

    words: tuple[str, ...]
    normal: Callable[[str], str] = str.lower

    @property
    def allowed(self) -> str:
        return "one of " + ", ".join(self.words)

    def from_text(self, text: str) -> object:
        return self.check(text.strip())

    def check(self, value: object) -> object:
        if not isinstance(value, str) or self.normal(value) not in self.words:
            raise Unacceptable(value)
        return self.normal(value)


@dataclass(frozen=True, slots=True)
class Host:
    """An IP address or a host name; whether the name resolves is seen at start."""

    @property
    def allowed(self) -> str:
        return "an IP address or a host name"

    def from_text(self, text: str) -> object:
        return self.check(text.strip())

    def check(self, value: object) -> object:
        if not isinstance(value, str) or not is_host(value):
            raise Unacceptable(value)
        return value


@dataclass(frozen=True, slots=True)
class Hosts:
    """Up to `most` host names; as text they are separated by commas."""

    most: int

    @property
    def allowed(self) -> str:
        return f"at most {self.most} host names, separated by commas"

    def from_text(self, text: str) -> object:
        return self.check([part.strip() for part in text.split(",") if part.strip()])

    def check(self, value: object) -> object:
        if isinstance(value, str):
            return self.from_text(value)
        if not isinstance(value, list | tuple) or len(value) > self.most:
            raise Unacceptable(value)
        if not all(isinstance(item, str) and is_host(item) for item in value):
            raise Unacceptable(value)
        return tuple(dict.fromkeys(item.lower() for item in value))


@dataclass(frozen=True, slots=True)
class Secret:
    """Text that no message and no listing shows."""

    pattern: str
    allowed: str

    def from_text(self, text: str) -> object:
        return self.check(text)

    def check(self, value: object) -> object:
        if not isinstance(value, str) or not re.fullmatch(self.pattern, value):
            raise Unacceptable("***")
        return value


@dataclass(frozen=True, slots=True)
class PublicAddress:
    """An IP address that one node may tell another to dial, or empty."""

    @property
    def allowed(self) -> str:
        return "an IP address of one host, or empty"

    def from_text(self, text: str) -> object:
        return self.check(text.strip())

    def check(self, value: object) -> object:
        if not isinstance(value, str) or (value and not _is_one_host(value)):
            raise Unacceptable(value)
        return value


@dataclass(frozen=True, slots=True)
class Addresses:
    """Up to `most` addresses `host:port` (IPv6 as `[::1]:9000`); as text they are separated by commas."""

    most: int

    @property
    def allowed(self) -> str:
        return f"at most {self.most} of host:port or [ipv6]:port, separated by commas"

    def from_text(self, text: str) -> object:
        return self.check([part.strip() for part in text.split(",") if part.strip()])

    def check(self, value: object) -> object:
        if isinstance(value, str):
            return self.from_text(value)
        if not isinstance(value, list | tuple) or len(value) > self.most:
            raise Unacceptable(value)
        return tuple(dict.fromkeys(format_address(_address(item)) for item in value))


def is_host(text: str) -> bool:
    """True for an IP literal or a syntactically possible host name."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        # A name of digits and dots only is a mistyped IPv4 address, never a host.
        return bool(_HOST_NAME.match(text)) and not re.fullmatch(r"[0-9.]+", text)
    return True


def _is_one_host(text: str) -> bool:
    """The rule of `node.peers.hello.is_reachable_host`, which a command that asks for help should not have to load."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    return not (address.is_unspecified or address.is_multicast or text == "255.255.255.255")


def parse_address(text: str) -> Address:
    """Host and port of `host:port` or `[ipv6]:port`, port 1 to 65535; raises Unacceptable."""
    host, separator, port = text.rpartition(":")
    is_bracketed = host.startswith("[") and host.endswith("]")
    if is_bracketed:
        host = host[1:-1]
    if not separator or not _PORT.match(port) or not 1 <= int(port) <= 65535:
        raise Unacceptable(text)
    if not is_host(host) or (":" in host) != is_bracketed:
        raise Unacceptable(text)
    return host, int(port)


def _address(item: object) -> Address:
    match item:
        case str():
            return parse_address(item)
        case (str() as host, int() as port):
            return parse_address(format_address((host, port)))
        case _:
            raise Unacceptable(item)

"""Strict and bounded msgpack: the only module that touches the library.

Knows nothing of what the values mean. Values come from this node's own code and callers (a mistake is a UsageError)
and from bytes of strangers (whatever they are, the outcome is a value or a DecodeError). What `pack` accepts, `unpack`
accepts. Nothing is ever encoded again to be verified: one value has many encodings in msgpack, so signatures and
hashes cover bytes.
"""

from __future__ import annotations

import math
from typing import TypeAlias

import msgpack

from node.errors import DecodeError, MessageTooLarge, UsageError
from node.wire.limits import (
    PACKED_BYTES_MAX,
    VALUE_CONTAINERS_MAX,
    VALUE_DEPTH_MAX,
    VALUE_ITEMS_MAX,
    VALUE_KEY_BYTES_MAX,
    VALUE_KEYS_MAX,
)

__all__ = ["Value", "pack", "unpack", "unpack_list"]

Value: TypeAlias = "bool | int | float | str | bytes | list[Value] | dict[str, Value] | None"
"""What a message may hold: JSON's values and bytes. Integers have 64 bits, floats are finite, keys are strings."""

INTEGER_MIN = -(1 << 63)
INTEGER_MAX = (1 << 64) - 1


def pack(value: object) -> bytes:
    """The value in msgpack; UsageError names the part that cannot travel. Tuples are packed as lists."""
    containers = _check(value, "value", VALUE_DEPTH_MAX)
    if containers > VALUE_CONTAINERS_MAX:
        raise UsageError(f"value of {containers} lists and maps: allowed are {VALUE_CONTAINERS_MAX}")
    packed: bytes = msgpack.packb(value, use_bin_type=True)
    if len(packed) > PACKED_BYTES_MAX:
        raise MessageTooLarge(f"value of {len(packed)} bytes: allowed are {PACKED_BYTES_MAX}")
    return packed


def unpack(data: bytes) -> Value:
    """The value in these bytes.

    DecodeError(`malformed`, `too_large`, `too_deep`, `duplicate_key`, `not_finite`) for everything else, trailing
    bytes included.
    """
    if len(data) > PACKED_BYTES_MAX:
        raise DecodeError("too_large", f"{len(data)} bytes")
    budget = _Budget()
    try:
        value = msgpack.unpackb(
            data,
            raw=False,
            strict_map_key=True,
            object_pairs_hook=budget.map_of,
            # A container takes a byte at least: so few bytes hold no more of them than are allowed.
            list_hook=budget.list_of if len(data) > VALUE_CONTAINERS_MAX else None,
            ext_hook=_refuse_extension,
            max_str_len=PACKED_BYTES_MAX,
            max_bin_len=PACKED_BYTES_MAX,
            max_array_len=VALUE_ITEMS_MAX,
            max_map_len=VALUE_KEYS_MAX,
            max_ext_len=0,
        )
    except DecodeError:
        raise
    except (ValueError, TypeError, RecursionError, msgpack.UnpackException) as error:
        raise DecodeError("malformed", type(error).__name__) from error
    _verify(value, VALUE_DEPTH_MAX)
    return value  # type: ignore[no-any-return]  # every part was checked just above


def unpack_list(data: bytes, length_min: int) -> list[Value]:
    """The list in these bytes, of at least that many elements; later versions may append more."""
    value = unpack(data)
    if not isinstance(value, list) or len(value) < length_min:
        raise DecodeError("malformed", f"expected a list of {length_min} elements or more")
    return value


class _Budget:
    """Counts the containers while the decoder makes them, so that a bomb of empty ones ends early."""

    __slots__ = ("_left",)

    def __init__(self) -> None:
        self._left = VALUE_CONTAINERS_MAX

    def list_of(self, parts: list[object]) -> list[object]:
        self._spend()
        return parts

    def map_of(self, pairs: list[tuple[object, object]]) -> dict[str, object]:
        self._spend()
        result: dict[str, object] = {}
        for key, value in pairs:
            if not isinstance(key, str):
                raise DecodeError("malformed", "a key that is no string")
            if len(key.encode()) > VALUE_KEY_BYTES_MAX:
                raise DecodeError("too_large", "a key")
            if key in result:
                raise DecodeError("duplicate_key", key)
            result[key] = value
        return result

    def _spend(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise DecodeError("too_large", f"more than {VALUE_CONTAINERS_MAX} lists and maps")


def _refuse_extension(code: int, data: bytes) -> object:
    raise DecodeError("malformed", f"extension type {code} of {len(data)} bytes")


_HARMLESS = frozenset((int, str, bytes, bool, type(None)))


def _verify(value: object, depth: int) -> None:
    if isinstance(value, float):
        if not math.isfinite(value):
            raise DecodeError("not_finite")
    elif isinstance(value, (list, dict)):
        if depth == 0:
            raise DecodeError("too_deep", f"more than {VALUE_DEPTH_MAX} levels")
        parts = value if isinstance(value, list) else value.values()
        # Of these types the decoder has made nothing that could be wrong, and most lists hold nothing else.
        if not _HARMLESS.issuperset(map(type, parts)):
            for part in parts:
                if isinstance(part, (float, list, dict)):
                    _verify(part, depth - 1)


def _check(value: object, path: str, depth: int) -> int:
    """Refuses what cannot travel; the number of lists and maps in it."""
    if isinstance(value, (list, tuple, dict)):
        return _check_container(value, path, depth)
    if value is None or isinstance(value, (bool, bytes)):
        return 0
    if isinstance(value, int):
        if not INTEGER_MIN <= value <= INTEGER_MAX:
            raise UsageError(f"{path}: {value} does not fit in 64 bits")
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise UsageError(f"{path}: {value} is not finite")
    elif isinstance(value, str):
        _check_text(value, path)
    else:
        raise UsageError(f"{path}: a {type(value).__name__} cannot travel")
    return 0


_UNCHECKED = (bytes, bool, type(None))


def _check_text(value: str, path: str) -> None:
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise UsageError(f"{path}: text that has no UTF-8 form") from error


def _check_container(value: list[object] | tuple[object, ...] | dict[object, object], path: str, depth: int) -> int:
    if depth == 0:
        raise UsageError(f"{path}: more than {VALUE_DEPTH_MAX} levels")
    if not isinstance(value, dict):
        return _check_items(value, path, depth)
    if len(value) > VALUE_KEYS_MAX:
        raise UsageError(f"{path}: {len(value)} keys, allowed are {VALUE_KEYS_MAX}")
    containers = 1
    for key, part in value.items():
        if not isinstance(key, str):
            raise UsageError(f"{path}: key {key!r} is no string")
        _check_text(key, path)
        if len(key.encode()) > VALUE_KEY_BYTES_MAX:
            raise UsageError(f"{path}: a key of {len(key.encode())} bytes, allowed are {VALUE_KEY_BYTES_MAX}")
        containers += _check(part, f"{path}.{key}", depth - 1)
    return containers


def _check_items(value: list[object] | tuple[object, ...], path: str, depth: int) -> int:
    if len(value) > VALUE_ITEMS_MAX:
        raise UsageError(f"{path}: {len(value)} elements, allowed are {VALUE_ITEMS_MAX}")
    containers = 1
    for index, part in enumerate(value):
        # Most parts are of types with nothing to check; the path of the others is made for the error alone.
        kind = type(part)
        if kind is int and 0 <= part < INTEGER_MAX:  # type: ignore[operator]  # it is an int
            continue
        if kind not in _UNCHECKED:
            containers += _check(part, f"{path}[{index}]", depth - 1)
    return containers

"""How long packets take between regions of the world: one published matrix, with its source.

Knows nothing of nodes and links. `topology.py` lets groups that have the name of a region stand there.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from node.types import MILLISECOND, Duration

__all__ = ["PLACES", "REGIONS", "SOURCE", "delay_between"]

SOURCE = (
    "Microsoft, Azure network round-trip latency statistics: medians of the 30 days to 29 June 2025 "
    "(https://learn.microsoft.com/azure/networking/azure-network-latency)"
)

PLACES: Mapping[str, str] = MappingProxyType(
    {
        "us-east": "Virginia",
        "us-central": "Iowa",
        "us-west": "California",
        "ca-central": "Toronto",
        "sa-east": "São Paulo",
        "eu-west": "Ireland",
        "eu-central": "Frankfurt",
        "eu-north": "Sweden",
        "me-central": "Dubai",
        "af-south": "Johannesburg",
        "ap-south": "Mumbai",
        "ap-southeast": "Singapore",
        "ap-east": "Hong Kong",
        "ap-northeast": "Tokyo",
        "australia": "Sydney",
    }
)
"""Where each region is, in the order of the matrix."""

REGIONS = tuple(PLACES)

# Milliseconds there and back, probed from the region of the row, but for Mumbai, where only the way there is published.
# The two ways differ by 4 ms at most; half of this one is taken for each.
_MATRIX = """
us-east
us-central     29
us-west        73  42
ca-central     21  28  64
sa-east       119 151 176 131
eu-west        74 102 139  85 171
eu-central     94 124 159 106 195  26
eu-north      113 143 180 126 217  34  34
me-central    184 216 252 196 284 128 119 168
af-south      218 248 274 231 319 170 162 197 102
ap-south      181 214 216 194 283 127 117 168  32 129
ap-southeast  224 199 171 222 332 166 157 201  82 180  50
ap-east       216 187 159 211 320 196 187 225 111 209  80  36
ap-northeast  164 136 107 159 270 232 219 277 151 249 119  73  53
australia     199 176 141 201 299 256 247 294 172 270 140  94 123 104
"""

WITHIN: Duration = MILLISECOND
"""One way within a region: clouds publish 0.6 to 2.4 ms there and back between their buildings (IBM, December 2025)."""


def delay_between(first: str, second: str) -> Duration:
    """One-way delay between two regions, or within one; both must be in REGIONS."""
    return WITHIN if first == second else _ROUND_TRIPS[frozenset((first, second))] * MILLISECOND // 2


def _round_trips() -> dict[frozenset[str], int]:
    trips = {}
    for line in _MATRIX.strip().splitlines():
        name, *cells = line.split()
        trips.update({frozenset((name, other)): int(cell) for other, cell in zip(REGIONS, cells, strict=False)})
    return trips


_ROUND_TRIPS = _round_trips()

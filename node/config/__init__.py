"""Configuration of a node: its fields (`fields.py`), the object (`network.py`) and its sources (`sources.py`)."""

from node.config.fields import FIELDS, Field
from node.config.kinds import format_address, parse_address
from node.config.network import NetworkConfig
from node.config.sources import CONFIG_VARIABLE, NO_VALUE, URL_VARIABLE, Loaded, load
from node.config.token import read_token

__all__ = [
    "CONFIG_VARIABLE",
    "FIELDS",
    "NO_VALUE",
    "URL_VARIABLE",
    "Field",
    "Loaded",
    "NetworkConfig",
    "format_address",
    "load",
    "parse_address",
    "read_token",
]

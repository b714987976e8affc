"""The bearer token of the HTTP API, from the configuration or from the file that it names."""

from __future__ import annotations

from node.config.fields import FIELDS
from node.config.kinds import Unacceptable
from node.config.network import NetworkConfig
from node.config.reading import read_file
from node.errors import StartError

__all__ = ["read_token"]

_FILE_BYTES_MAX = 4096


def read_token(config: NetworkConfig) -> str:
    """The token, or "" where none is asked for. StartError names the file and what is wrong with it, never its content.

    White space around the token does not count. An empty file is an error: whoever names one means to be protected.
    """
    if not config.api_token_file:
        return config.api_token
    where = f"api_token_file {config.api_token_file}"
    try:
        content = read_file(config.api_token_file, _FILE_BYTES_MAX)
    except OSError as error:
        raise StartError(f"{where} cannot be read: {error.strerror or error}") from error
    kind = FIELDS["api_token"].kind
    try:
        token = str(kind.check(content.decode("ascii").strip()))
    except (UnicodeDecodeError, Unacceptable) as error:
        raise StartError(f"{where}: allowed is {kind.allowed.removesuffix(', or empty for none')}") from error
    if not token:
        raise StartError(f"{where} is empty: allowed is {kind.allowed.removesuffix(', or empty for none')}")
    return token

"""Commands that need no running node: keygen and config check."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from node.cli.errors import CommandFailed
from node.cli.flags import config_flags
from node.cli.tables import table
from node.config import FIELDS, load
from node.config.kinds import Secret
from node.config.network import KEY_FILE

__all__ = ["check", "keygen"]


def keygen(arguments: argparse.Namespace) -> int:
    """Makes the key file of a node; a key that exists is never overwritten."""
    from node.storage.keyfile import create

    config = load(flags=config_flags(arguments), path=arguments.config).config
    if not config.data_dir:
        raise CommandFailed("data_dir is empty: a key that is kept in memory only cannot be made in advance")
    path = Path(config.data_dir) / KEY_FILE
    identity = create(path)
    if arguments.json:
        print(json.dumps({"node_id": identity.node_id, "path": str(path)}))
    else:
        print(f"{identity.node_id}  {path}")
    return 0


def check(arguments: argparse.Namespace) -> int:
    """Shows the effective configuration with the origin of each value; every mistake is reported, with status 2."""
    loaded = load(flags=config_flags(arguments), path=arguments.config, unknown_flags=arguments.unknown)
    values = {name: _shown(name, value) for name, value in asdict(loaded.config).items()}
    if arguments.json:
        described = {name: {"value": value, "origin": loaded.origins[name]} for name, value in values.items()}
        print(json.dumps(described, indent=2))
        return 0
    rows = [(name, _text(value), loaded.origins[name]) for name, value in values.items()]
    print("\n".join(table(("SETTING", "VALUE", "ORIGIN"), rows)))
    return 0


def _shown(name: str, value: object) -> object:
    return "***" if value and isinstance(FIELDS[name].kind, Secret) else value


def _text(value: object) -> str:
    match value:
        case bool():
            return str(value).lower()
        case tuple():
            return ",".join(value) or "-"
        case _:
            return str(value) or "-"

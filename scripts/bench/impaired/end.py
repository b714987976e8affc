"""One end of one peer: `end.py PEER receive|send KIND SECONDS ADDRESS`. A receiver prints what its meter found.

Runs in the network namespace and with the interpreter that `scripts/bench/peers.py` chooses; an end imports its own
library and nothing of the others.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from impaired.load import Load, Meter

PORT = 7000

PEERS = {
    "positron": ("positron", ""),
    "aioquic": ("quic", "aioquic"),
    "aioquic-streams": ("quic", "aioquic:streams"),
    "qh3": ("quic", "qh3"),
    "aiopquic": ("aiopquic", ""),
    "kcp": ("kcp", ""),
    "enet": ("enet", ""),
    "tcp-cubic": ("tcp", "cubic"),
    "tcp-bbr": ("tcp", "bbr"),
}
"""The module below `peers` and what it is told, by the peer's name."""


def main() -> None:
    name, role, kind, seconds, address = sys.argv[1:]
    module_name, variant = PEERS[name]
    module = importlib.import_module(f"impaired.peers.{module_name}")
    load = Load(kind, float(seconds))
    if role == "send":
        module.send((address, PORT), load, variant)
        return
    meter = Meter(load)
    module.receive((address, PORT), meter, variant)
    meter.report()


if __name__ == "__main__":
    main()

"""A directory of stand-ins for ip, tc, nft, getent and setpriv, so that the container's scripts run without privileges.

Each stand-in writes its arguments to `calls` and answers from files of the same directory.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parent.parent.parent / "docker"

_IP = """
case "$*" in
"-o -4 address show up scope global") cat "$STANDINS/addresses" ;;
"-o -4 address show dev "*) grep " $6 " "$STANDINS/addresses" ;;
"-4 route show default") cat "$STANDINS/routes" ;;
"link set dev "*) echo "ip $*" >>"$STANDINS/calls" ;;
*) exit 1 ;;
esac
"""

_TC = """
case "$*" in
"-j qdisc show dev "*) cat "$STANDINS/qdisc.json" ;;
"qdisc show dev "*) cat "$STANDINS/qdisc.text" ;;
"class show dev "*) cat "$STANDINS/classes" ;;
"-batch -") sed "s/^/tc /" >>"$STANDINS/calls" ;;
*)
    echo "tc $*" >>"$STANDINS/calls"
    if [ -s "$STANDINS/refusal" ]; then cat "$STANDINS/refusal" >&2; exit 2; fi
    [ ! -e "$STANDINS/next.json" ] || cp "$STANDINS/next.json" "$STANDINS/qdisc.json"
    ;;
esac
"""

_NFT = """
case "$1" in
-f) cat >>"$STANDINS/calls"; if [ -s "$STANDINS/refusal" ]; then cat "$STANDINS/refusal" >&2; exit 1; fi ;;
list) cat "$STANDINS/nft.text" ;;
esac
"""

_GETENT = '[ "$1 $2 $3" = "-s dns hosts" ] && grep "^$4 " "$STANDINS/names"'

# Becomes the command like the original, after telling what it was asked to give up.
_SETPRIV = """
echo "setpriv $*" >>"$STANDINS/calls"
while [ "$1" != -- ]; do shift; done
shift
exec "$@"
"""


class Container:
    """One pretended container. Starts with an internal network on eth1 and a routed one on eth0, unimpaired."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.impairment_file = directory / "impairment.json"
        self.config_file = directory / "node.toml"
        programs = {"ip": _IP, "tc": _TC, "nft": _NFT, "getent": _GETENT, "setpriv": _SETPRIV, "id": "echo 0"}
        for name, script in programs.items():
            self._program(name, f"#!/bin/sh\n{script}\n")
        (directory / "impair").symlink_to(SCRIPTS / "impair")
        self.addresses("2: eth0 inet 10.2.0.3/16", "3: eth1 inet 10.1.0.4/24")
        self.write("routes", "default via 10.2.0.1 dev eth0\n")
        self.write("names", "10.1.0.4 positron-node-3.positron_p2p\n")
        self.write("calls", "")
        self.write("classes", "")
        self.has(None)

    def addresses(self, *lines: str) -> None:
        self.write("addresses", "".join(f"{line} brd 10.255.255.255 scope global\n" for line in lines))

    def has(self, netem: dict[str, object] | None, *, after_next_change: bool = False) -> None:
        """What the kernel has: netem with these options, or none; now, or once tc has changed something."""
        kinds = [{"kind": "noqueue", "options": {}}] if netem is None else [{"kind": "netem", "options": netem}]
        self.write("next.json" if after_next_change else "qdisc.json", json.dumps(kinds, separators=(",", ":")))
        text = "noqueue 0: root refcnt 2" if netem is None else "netem 8001: root refcnt 2 limit 1000"
        self.write("qdisc.text", f"qdisc {text}\n")

    def refuses(self, text: str) -> None:
        """Every change of tc fails with this text."""
        self.write("refusal", text + "\n")

    def write(self, name: str, text: str) -> None:
        (self.directory / name).write_text(text)

    @property
    def calls(self) -> list[str]:
        """What ip, tc and setpriv were asked to change."""
        return (self.directory / "calls").read_text().splitlines()

    def run(self, *command: str, given: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
        """Runs a script of docker/ or what it starts, in an environment of these variables alone. given: its input."""
        variables = {
            "PATH": f"{self.directory}:{SCRIPTS}:{os.environ['PATH']}",
            "STANDINS": str(self.directory),
            "POSITRON_IMPAIRMENT_FILE": str(self.impairment_file),
            **environment,
        }
        return subprocess.run(
            command, env=variables, input=given, capture_output=True, text=True, timeout=20, check=False
        )  # fmt: skip

    def _program(self, name: str, text: str) -> None:
        path = self.directory / name
        path.write_text(text)
        path.chmod(0o755)


@pytest.fixture
def container(tmp_path: Path) -> Container:
    return Container(tmp_path)

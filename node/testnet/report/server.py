"""A Prometheus server of our own, on 127.0.0.1 alone: started with a folder that holds its configuration and data.

Knows nothing of what it is asked or shown; needs `prometheus` on PATH.
"""

from __future__ import annotations

import contextlib
import http.client
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from node.testnet.errors import TestnetFailed, TestnetMisused

__all__ = ["free_port", "need_programs", "serving"]

START_TIMEOUT = 30.0
END_TIMEOUT = 10.0
POLL_INTERVAL = 0.1


def need_programs(*names: str) -> None:
    """TestnetFailed for the first of them that is not there."""
    for name in names:
        if shutil.which(name) is None:
            raise TestnetFailed(f"{name} is not installed; on Debian: apt-get install prometheus")


def free_port(port: int = 0) -> int:
    """That port of 127.0.0.1, or any that is free; TestnetMisused if it is taken."""
    with socket.socket() as probe:
        # As the server does: a port whose former connections linger is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise TestnetMisused(f"port {port} of 127.0.0.1 cannot be had: {error.strerror}") from error
        number: int = probe.getsockname()[1]
        return number


@contextlib.contextmanager
def serving(folder: Path, port: int, *flags: str) -> Iterator[None]:
    """A server with the folder's prometheus.yml that answers on 127.0.0.1:port, for as long as the context lasts.

    flags: further ones of the command line. Raises TestnetFailed if it does not become ready.
    """
    log = folder / "prometheus.log"
    command = (
        "prometheus",
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        *flags,
    )
    with log.open("w") as output:
        # A session of its own: an interrupt from the terminal is for us, who end it in order.
        process = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)
        try:
            _wait_until_ready(process, port, log)
            yield
        finally:
            process.terminate()
            try:
                process.wait(END_TIMEOUT)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_until_ready(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline:
        if process.poll() is not None:
            last = log.read_text().strip().splitlines()[-1:] or ["no word"]
            raise TestnetFailed(f"prometheus ended at once: {last[0]}")
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1.0)
        try:
            connection.request("GET", "/-/ready")
            if connection.getresponse().status == http.client.OK:
                return
        except OSError:
            pass
        finally:
            connection.close()
        time.sleep(POLL_INTERVAL)
    raise TestnetFailed(f"prometheus did not become ready within {START_TIMEOUT:.0f} s")

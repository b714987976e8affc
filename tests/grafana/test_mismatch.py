"""An impairment that is not what was asked for, from the file of a real node to an alert of a real Prometheus."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import yaml

from node.config import NetworkConfig
from node.node import Node
from node.testnet.report.server import free_port

pytestmark = [
    pytest.mark.loopback,
    pytest.mark.slow,
    pytest.mark.asyncio,
    pytest.mark.timeout(120),
    pytest.mark.skipif(shutil.which("prometheus") is None, reason="prometheus is not installed"),
]

HOST = "127.0.0.1"
CONFIGURATION = Path(__file__).parent.parent.parent / "docker" / "prometheus"
ASKED = {"backend": "netem", "loss_ratio": 0.2, "asked_loss_ratio": 0.2, "asked_delay_seconds": 0.0}
FIRING = 'ALERTS{alertstate="firing"}'


@asynccontextmanager
async def prometheus(folder: Path, port_of_node: int) -> AsyncIterator[str]:
    """A server with the rules and alerts of the testnet that scrapes that port; its address."""
    configuration = yaml.safe_load((CONFIGURATION / "prometheus.yml").read_text())
    (job,) = configuration["scrape_configs"]
    del job["dns_sd_configs"]
    job["static_configs"] = [{"targets": [f"{HOST}:{port_of_node}"]}]
    configuration["rule_files"] = [str(CONFIGURATION / name) for name in configuration["rule_files"]]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(configuration))
    address = f"{HOST}:{free_port()}"
    server = await asyncio.create_subprocess_exec(
        "prometheus", f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={address}", stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield address
    finally:
        server.terminate()
        await server.wait()


async def asked(address: str, query: str) -> list[dict[str, str]]:
    """Labels of the series that the server has for a query; none while it starts."""
    host, _, port = address.partition(":")
    with suppress(OSError):
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(f"GET /api/v1/query?query={quote(query)} HTTP/1.0\r\nHost: {address}\r\n\r\n".encode())
        answer = (await reader.read()).partition(b"\r\n\r\n")
        writer.close()
        if b" 200 " in answer[0]:
            result: list[dict[str, Any]] = json.loads(answer[2])["data"]["result"]
            return [one["metric"] for one in result]
    return []


async def until(address: str, query: str, holds: Callable[[list[dict[str, str]]], bool]) -> list[dict[str, str]]:
    """What the server answers once that holds, of which it tells nobody; it evaluates rules once a second."""
    async with asyncio.timeout(60):
        while not holds(found := await asked(address, query)):
            await asyncio.wait([asyncio.get_running_loop().create_future()], timeout=0.2)
    return found


async def test_it_fires_when_the_kernel_has_something_else_and_ends_when_it_has_what_was_asked(tmp_path: Path) -> None:
    impairment = tmp_path / "impairment.json"
    impairment.write_text(json.dumps(ASKED))
    config = NetworkConfig(
        name="alone", host=HOST, port=0, metrics_port=0, is_seed=True, data_dir="", impairment_file=str(impairment)
    )
    async with Node(config) as node:
        assert node.http_address is not None
        async with prometheus(tmp_path, node.http_address[1]) as server:
            await until(server, "positron_impairment_asked_loss_ratio == 0.2", bool)
            # Ten seconds is how long it must last.
            await until(server, "count_over_time(positron_impairment_asked_loss_ratio[1m]) > 12", bool)
            assert await asked(server, FIRING) == []

            impairment.write_text(json.dumps(ASKED | {"loss_ratio": 0.0}))
            (alert,) = await until(server, FIRING, bool)
            assert (alert["alertname"], alert["node"]) == ("PositronImpairmentMismatch", "alone")

            impairment.write_text(json.dumps(ASKED))
            await until(server, FIRING, lambda found: not found)

"""What a person sees of a running testnet at `testnet watch --web`, in a real browser, while a fault is in it."""

from __future__ import annotations

import asyncio
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from node.testnet.main import main
from node.testnet.runners.proc import ProcRunner
from tests.browser.chromium import open_page
from tests.testnet.conftest import shared, testnets, whole

__all__ = ["shared", "testnets", "whole"]

pytestmark = pytest.mark.timeout(180)

SECONDS = 60.0


@asynccontextmanager
async def served() -> AsyncIterator[str]:
    """Where the page of the testnet `shared` is."""
    pipe = asyncio.subprocess.PIPE
    words = ("watch", "--web", "--port", "0", "--name", "shared")
    server = await asyncio.create_subprocess_exec(sys.executable, "-m", "node.testnet.main", *words, stdout=pipe)
    try:
        assert server.stdout is not None
        async with asyncio.timeout(SECONDS):
            address = (await server.stdout.readline()).decode().strip()
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", address)
        yield address
    finally:
        server.send_signal(signal.SIGINT)
        assert await server.wait() == 0


def line(panel: int, name: str) -> str:
    """JavaScript: the drawn line of that name in that panel, "" while there is none."""
    found = f"[...document.querySelectorAll('#panel-{panel} path')].find(p => p.textContent === '{name}')"
    return f"({found}?.getAttribute('d') ?? '')"


@pytest.mark.asyncio
async def test_a_fault_is_seen_with_its_cause_and_its_effect_and_nowhere_else(
    whole: ProcRunner, tmp_path: Path
) -> None:
    async with served() as address, open_page(tmp_path / "profile") as page:
        await page.visit(f"{address}chaos")
        await page.wait_for("document.getElementById('state').textContent.includes('4 of 4 nodes answer')", SECONDS)
        command = [sys.executable, "-m", "node.testnet.main", "fault", "loss", "--share", "40%", "--target", "node-1",
                   "--for", "40s", "--detach", "--name", "shared"]  # fmt: skip
        fault = await asyncio.to_thread(subprocess.run, command, capture_output=True, check=True)
        assert fault.returncode == 0
        for _ in range(40):
            await asyncio.to_thread(whole.publish, "node-1", 500)
        # Shaded in the charts, named on the first panel, and asked as well as applied.
        await page.wait_for("document.querySelector('#panel-7 .band') !== null", SECONDS)
        await page.wait_for("document.getElementById('panel-1').textContent.includes('loss')", SECONDS)
        await page.wait_for(line(2, "node-1 applied"), SECONDS)
        # That node sends again what was lost; and the page says so without being loaded anew.
        rises = f"new Set({line(7, 'node-1')}.match(/[\\d.]+(?=L|$)/g)).size > 1"
        await page.wait_for(rises, SECONDS)
        await asyncio.to_thread(whole.heal)
        await page.picture(tmp_path / "page.png")
        assert (tmp_path / "page.png").stat().st_size > 10_000
        assert page.complaints == []


@pytest.mark.asyncio
async def test_a_page_whose_testnet_nobody_serves_any_more_says_so(whole: ProcRunner, tmp_path: Path) -> None:
    async with open_page(tmp_path / "profile") as page:
        async with served() as address:
            await page.visit(address)
            await page.wait_for("document.querySelector('#panel-1 b').textContent === '4'", SECONDS)
            assert await page.value("document.querySelectorAll('figure').length") == 12
            assert await page.value("document.querySelectorAll('nav a').length") == 6
            assert page.complaints == []
        await page.wait_for("document.getElementById('state').className === 'lost'", SECONDS)


def test_what_does_not_go_with_the_page_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["watch", "--web", "--once"]) == 2
    assert "--once: not with --web" in capsys.readouterr().err

"""A real browser without a window, driven over its own debugging protocol.

One page at a time; whatever its scripts and its network complain of is kept, so that a test can insist on silence.
"""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

__all__ = ["Page", "open_page"]

START_SECONDS = 40.0
ANSWER_SECONDS = 20.0
_WAIT = """
new Promise((resolve) => {
  const end = Date.now() + MILLISECONDS;
  const look = () => {
    const value = EXPRESSION;
    if (value || Date.now() > end) resolve(value); else setTimeout(look, 50);
  };
  look();
})
"""
_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
    "--window-size=1200,1600",
)


class Page:
    """The page that is open. complaints: errors of its scripts and of what it loads."""

    def __init__(self, link: aiohttp.ClientWebSocketResponse) -> None:
        self._link = link
        self._number = 0
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._loaded = asyncio.Event()
        self.complaints: list[str] = []

    async def visit(self, address: str) -> None:
        """Goes there, and is back when the page is loaded."""
        self._loaded.clear()
        answer = await self._do("Page.navigate", url=address)
        assert "errorText" not in answer, answer["errorText"]
        async with asyncio.timeout(ANSWER_SECONDS):
            await self._loaded.wait()

    async def value(self, expression: str, *, seconds: float = ANSWER_SECONDS) -> Any:
        """What the expression in JavaScript is, as JSON; of a promise, what becomes of it."""
        asked = {"expression": expression, "returnByValue": True, "awaitPromise": True}
        answer = await self._do("Runtime.evaluate", seconds, **asked)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    async def wait_for(self, expression: str, seconds: float) -> Any:
        """The value of the expression as soon as it is true; an error that shows the page if that takes longer."""
        script = _WAIT.replace("EXPRESSION", expression).replace("MILLISECONDS", str(int(seconds * 1000)))
        if not (value := await self.value(script, seconds=seconds + ANSWER_SECONDS)):
            text = await self.value("document.body.innerText")
            raise AssertionError(f"not within {seconds:g} s: {expression}\n{text[:2000]}\n{self.complaints}")
        return value

    async def picture(self, path: Path) -> None:
        """Writes what is to be seen, as PNG."""
        answer = await self._do("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(answer["data"]))

    async def start(self) -> None:
        """Asks to be told of errors."""
        for domain in ("Page", "Runtime", "Log"):
            await self._do(f"{domain}.enable")

    async def _do(self, method: str, seconds: float = ANSWER_SECONDS, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        number = self._number
        future = self._waiting[number] = asyncio.get_running_loop().create_future()
        await self._link.send_json({"id": number, "method": method, "params": parameters})
        async with asyncio.timeout(seconds):
            told: dict[str, Any] = await future
        return told

    async def listen(self) -> None:
        """Takes what the browser tells, for as long as it is there."""
        async for message in self._link:
            told = message.json()
            if "id" in told:
                future = self._waiting.pop(told["id"])
                if not future.done():
                    future.set_result(told.get("result", {"errorText": str(told.get("error"))}))
            elif told["method"] == "Page.loadEventFired":
                self._loaded.set()
            elif told["method"] == "Runtime.exceptionThrown":
                self.complaints.append(str(told["params"]["exceptionDetails"]))
            elif told["method"] == "Log.entryAdded" and told["params"]["entry"]["level"] == "error":
                self.complaints.append(told["params"]["entry"]["text"])


@asynccontextmanager
async def open_page(profile: Path) -> AsyncIterator[Page]:
    """A browser with one empty page. profile: a directory for what it keeps, which may be new."""
    command = ["chromium", *_FLAGS, f"--user-data-dir={profile}", "about:blank"]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.DEVNULL, stderr=pipe)
    assert process.stderr is not None
    try:
        port = await _port(process.stderr)
        async with asyncio.TaskGroup() as group:
            # What it says further must be read, or it stands still.
            reader = group.create_task(process.stderr.read())
            async with aiohttp.ClientSession() as session:
                async with session.get(f"http://127.0.0.1:{port}/json/list") as answer:
                    pages = [one for one in await answer.json() if one["type"] == "page"]
                page = Page(await session.ws_connect(pages[0]["webSocketDebuggerUrl"], max_msg_size=1 << 26))
                listener = group.create_task(page.listen())
                await page.start()
                yield page
            listener.cancel()
            reader.cancel()
    finally:
        process.kill()
        await process.wait()


async def _port(errors: asyncio.StreamReader) -> int:
    """Where the browser listens: it says so once it does."""
    said = b""
    async with asyncio.timeout(START_SECONDS):
        while line := await errors.readline():
            if found := re.search(rb"DevTools listening on ws://[^:]+:(\d+)/", line):
                return int(found[1])
            said += line
    raise AssertionError(f"the browser ended: {said.decode(errors='replace')}")

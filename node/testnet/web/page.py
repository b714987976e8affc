"""The live page: a board as HTML that is worth reading at once, and a few lines of script that keep it up to date."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from html import escape
from urllib.parse import urlencode

from node.testnet.boards import BOARDS
from node.testnet.boards.spec import Board
from node.testnet.report.panels import framed
from node.testnet.report.style import STYLE

__all__ = ["POLICY", "render_page"]

_LAYOUT = """
body { max-width: 1700px; padding: 12px 16px 40px; }
nav, header { display: flex; flex-wrap: wrap; gap: 4px 18px; align-items: baseline; }
nav { margin-bottom: 10px; } nav a { color: inherit; } nav a[aria-current] { font-weight: 700; text-decoration: none; }
h1 { font-size: 1.25rem; margin: 0; } #state { color: var(--quiet); font-variant-numeric: tabular-nums; }
#state.lost { color: var(--bad); font-weight: 600; }
select { font: inherit; color: inherit; background: var(--soft); border: 1px solid var(--line); }
.board { display: grid; gap: 10px; grid-template-columns: repeat(24, 1fr); }
figure { margin: 0; padding: 8px 10px; min-width: 0; }
@media (max-width: 800px) { .board figure { grid-column: span 24 !important; } }
"""

_SCRIPT = """
const state = document.getElementById("state");
const source = new EventSource("/events/" + document.body.dataset.board + location.search);
source.addEventListener("board", (event) => {
  const board = JSON.parse(event.data);
  for (const [number, drawing] of Object.entries(board.panels)) {
    document.getElementById("panel-" + number).innerHTML = drawing;
  }
  state.textContent = board.state;
  state.className = "";
});
source.onerror = () => { state.textContent = "nobody answers; trying again"; state.className = "lost"; };
for (const choice of document.querySelectorAll("select")) {
  choice.addEventListener("change", () => choice.form.submit());
}
"""

_DIGEST = base64.b64encode(hashlib.sha256(_SCRIPT.encode()).digest()).decode()

POLICY = (
    f"default-src 'none'; script-src 'sha256-{_DIGEST}'; style-src 'unsafe-inline'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""What the page may load and do: this script, and events from where it came."""


def render_page(
    board: Board,
    drawings: Mapping[int, str],
    state: str,
    options: Mapping[str, Mapping[str, str]],
    choices: Mapping[str, str],
) -> str:
    """The page of a board.

    drawings: by number of the panel. state: one line. options: by variable, the name of each value. choices: the values
    that are chosen.
    """
    title = escape(board.title)
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>'
    figures = "".join(
        framed(
            panel,
            f'<div id="panel-{panel.number}">{drawings[panel.number]}</div>',
            f'style="grid-column: span {panel.width}"',
        )
        for panel in board.panels
        if panel.number in drawings
    )
    body = (
        f"<nav>{_links(board, choices)}</nav>"
        f'<header><h1>{title}</h1>{_form(board, options, choices)}<span id="state">{escape(state)}</span></header>'
        f"<p>{escape(board.description)}</p>"
        f'<main class="board">{figures}</main><script>{_SCRIPT}</script>'
    )
    top = f'<!DOCTYPE html>\n<html lang="en"><head>{head}<style>{STYLE}{_LAYOUT}</style></head>\n'
    return f'{top}<body data-board="{escape(board.uid)}">{body}</body></html>\n'


def _links(current: Board, choices: Mapping[str, str]) -> str:
    """The way to every board, which keeps what is chosen."""
    parts = []
    for board in BOARDS:
        kept = {name: value for name, value in choices.items() if name in board.variables}
        address = escape(f"/{board.uid}" + (f"?{urlencode(kept)}" if kept else ""))
        here = ' aria-current="page"' if board is current else ""
        parts.append(f'<a href="{address}"{here}>{escape(board.title)}</a>')
    return "".join(parts)


def _form(board: Board, options: Mapping[str, Mapping[str, str]], choices: Mapping[str, str]) -> str:
    """A choice for each variable of the board; without a script, a button sends it."""
    parts = []
    for name in board.variables:
        listed = "" if board.is_single else '<option value="">all</option>'
        for value, called in options[name].items():
            chosen = " selected" if choices.get(name) == value else ""
            listed += f'<option value="{escape(value)}"{chosen}>{escape(called)}</option>'
        parts.append(f'<label>{name} <select name="{name}">{listed}</select></label> ')
    return f'<form method="get">{"".join(parts)}<noscript><button>Show</button></noscript></form>'

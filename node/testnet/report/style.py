"""The style of the report: light and dark as the reader's system is, and fit for paper."""

from __future__ import annotations

__all__ = ["STYLE"]

STYLE = """
:root { color-scheme: light dark; --ink: #1c2430; --paper: #ffffff; --soft: #eef1f5; --line: #d5dbe3; --quiet: #657184;
  --good: #1a7f4b; --bad: #c0392b; --warn: #b26a00; --band: #e8590c; --heat: #c92a2a; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e9f0; --paper: #12161c; --soft: #1c222b; --line: #313a47;
  --quiet: #93a0b4; --good: #45c486; --bad: #ff7b6b; --warn: #f2b04a; --band: #ff922b; --heat: #ff6b6b; } }
* { box-sizing: border-box; }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 1180px;
  margin: 0 auto; padding: 24px 20px 60px; }
h1 { font-size: 1.6rem; margin: 0 0 8px; } h2 { font-size: 1.1rem; margin: 36px 0 10px; }
.verdict { display: inline-block; margin: 0 0 6px; padding: 4px 14px; border-radius: 4px; font-weight: 700;
  color: #fff; background: var(--warn); }
.verdict.passed { background: var(--good); } .verdict.failed, .verdict.deviated { background: var(--bad); }
.facts { display: grid; grid-template-columns: max-content 1fr; gap: 2px 18px; margin: 18px 0; }
dt { color: var(--quiet); } dd { margin: 0; overflow-wrap: anywhere; }
.wide { overflow-x: auto; } table { border-collapse: collapse; width: 100%; font-size: .92rem; }
th { text-align: left; color: var(--quiet); font-weight: 600; } th, td { padding: 5px 14px 5px 0; vertical-align: top;
  border-bottom: 1px solid var(--line); } td { font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
pre { background: var(--soft); padding: 12px; overflow-x: auto; border-radius: 4px; font-size: .85rem; }
figure { margin: 0 0 26px; padding: 14px; border: 1px solid var(--line); border-radius: 6px; }
figcaption { font-weight: 600; margin-bottom: 6px; }
svg { width: 100%; height: auto; font: 11px system-ui, sans-serif; } svg text { fill: var(--quiet); }
.grid { stroke: var(--line); stroke-width: 1; } .band { fill: var(--band); fill-opacity: .13; }
svg .value { fill: #000; font-size: 10px; } svg .plain { fill: var(--ink); }
.line { fill: none; stroke-width: 1.6; stroke-linejoin: round; } .reference { stroke: var(--quiet);
  stroke-dasharray: 5 4; color: var(--quiet); }
.missing { color: var(--warn); font-weight: 600; } p.nothing { color: var(--quiet); }
.heat { fill: var(--heat); } .none { fill: var(--soft); } .nothing { font-size: 14px; }
.legend { list-style: none; display: flex; flex-wrap: wrap; gap: 2px 16px; margin: 6px 0; padding: 0;
  font-size: .85rem; }
.legend li::before { content: ""; display: inline-block; width: 12px; height: 3px; margin-right: 6px;
  vertical-align: middle; background: currentColor; }
.stat ul { list-style: none; margin: 0; padding: 0; } .stat b { font-size: 1.3rem; }
details { color: var(--quiet); font-size: .85rem; }
.c0 { stroke: #1f77b4; color: #1f77b4; }
.c1 { stroke: #e8590c; color: #e8590c; }
.c2 { stroke: #2f9e44; color: #2f9e44; }
.c3 { stroke: #c2255c; color: #c2255c; }
.c4 { stroke: #7048e8; color: #7048e8; }
.c5 { stroke: #0c8599; color: #0c8599; }
.c6 { stroke: #b8860b; color: #b8860b; }
.c7 { stroke: #5c7cfa; color: #5c7cfa; }
.c8 { stroke: #d6336c; color: #d6336c; }
.c9 { stroke: #74880f; color: #74880f; }
@media print { figure, table { break-inside: avoid; } }
"""

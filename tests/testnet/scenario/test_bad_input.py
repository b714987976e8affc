"""Files that somebody got wrong, and the line that answers each: the place, the value, what is allowed."""

from __future__ import annotations

from pathlib import Path

import pytest

from node.testnet.main import main

HEAD = "schema: 1\ntitle: t\ntopology: {nodes: 4}\n"
FAULT = "timeline:\n  - {at: 1s, id: a, loss: 5%, target: node-1, for: 3s}\n"

FAULTS = [
    (
        "{at: 1s, losss: 20%, target: node-1, for: 3s}",
        "s.yaml:5: timeline[0].losss: unknown; did you mean loss? allowed",
    ),
    ("{at: 1s, loss: 20%, tarket: node-1, for: 3s}", "s.yaml:5: timeline[0].tarket: unknown; did you mean target?"),
    (
        "{at: 1s, bursts: {p: 1%, q: 3%}, target: node-1, for: 3s}",
        "s.yaml:5: timeline[0].bursts.q: unknown; allowed is one of p, r,",
    ),
    (
        "{at: 1s, loss: 200%, target: node-1, for: 3s}",
        "s.yaml:5: timeline[0].loss: '200%': allowed is a share from 0% to",
    ),
    (
        "{at: 1s, loss: -5%, target: node-1, for: 3s}",
        "s.yaml:5: timeline[0].loss: '-5%': allowed is a share from 0% to",
    ),
    (
        "{at: 1s, loss: -0.5, target: node-1, for: 3s}",
        "s.yaml:5: timeline[0].loss: -0.5: allowed is a share from 0% to",
    ),
    ("{at: 1s, loss: 20, target: node-1, for: 3s}", "s.yaml:5: timeline[0].loss: 20: allowed is a share from 0% to"),
    (
        "{at: 1s, loss: 20%, target: node-1, for: 3sec}",
        "s.yaml:5: timeline[0].for: '3sec': allowed is a time from 0us to",
    ),
    ("{at: 1s, rate: 3MB, target: node-1, for: 3s}", "s.yaml:5: timeline[0].rate: '3MB': allowed is a rate from 8kbit"),
    (
        "{at: 1s, rate: 3mbps, target: node-1, for: 3s}",
        "s.yaml:5: timeline[0].rate: '3mbps': allowed is a rate from 8kbit",
    ),
    ("{at: 1s, rate: 0, target: node-1, for: 3s}", "s.yaml:5: timeline[0].rate: 0: allowed is a rate from 8kbit to"),
    ("{at: -1s, loss: 20%, target: node-1, for: 3s}", "s.yaml:5: timeline[0].at: '-1s': allowed is a time from 0us to"),
    (
        "{at: 1s, loss: 20%, target: node-1, for: -3s}",
        "s.yaml:5: timeline[0].for: '-3s': allowed is a time from 0us to",
    ),
    ("{at: 1s, loss: 20%, target: node-1, for: 0s}", "s.yaml:5: timeline[0].for: loss needs `for`: how long it lasts"),
    ("{at: 1s, loss: 20%, target: node-1}", "s.yaml:5: timeline[0]: loss needs `for`: how long it lasts"),
    ("{at: 1s, loss: 20%, target: node-1, for: }", "s.yaml:5: timeline[0].for: None: allowed is a time from 0us to"),
    ("{loss: 20%, target: node-1, for: 3s}", "s.yaml:5: timeline[0]: at is missing"),
    ("{at: 1s, loss: 20%, for: 3s}", "s.yaml:5: timeline[0]: needs `target`: whom it hits"),
    ("{at: 1s, loss: 20%, target: node-9, for: 3s}", "s.yaml:5: timeline[0].target: no node or group 'node-9'; there"),
    (
        "{at: 1s, loss: 20%, target: [node-1, nod-2], for: 3s}",
        "s.yaml:5: timeline[0].target: no node or group 'nod-2'; there are",
    ),
    ("{at: 1s, loss: 20%, target: [], for: 3s}", "s.yaml:5: timeline[0].target: []: allowed is a list of at least 1"),
    ("{at: 1s, loss: 20%, target: {pick: 9}, for: 3s}", "s.yaml:5: timeline[0].target.pick: 9: allowed is 1 to 3, the"),
    ("{at: 1s, loss: 20%, target: {pick: 0}, for: 3s}", "s.yaml:5: timeline[0].target.pick: 0: allowed is at least 1"),
    ("{at: 1s, loss: 20%, target: {}, for: 3s}", "s.yaml:5: timeline[0].target: allowed is one of pick and share,"),
    (
        "{at: 1s, loss: 20%, target: {share: 0%}, for: 3s}",
        "s.yaml:5: timeline[0].target.share: '0%': allowed is a share from",
    ),
    (
        "{at: 1s, kill: , target: {pick: 1, from: seed}, for: 3s}",
        "s.yaml:5: timeline[0].target.from: nobody is there to choose",
    ),
    (
        "{at: 1s, loss: 20%, target: node-1, peers: node-1, for: 3s}",
        "s.yaml:5: timeline[0]: loss hits nobody: allowed is one that hits",
    ),
    (
        "{at: 1s, kill: , target: node-1, peers: node-2, for: 3s}",
        "s.yaml:5: timeline[0].peers: is for faults of links only",
    ),
    (
        "{at: 1s, kill: , target: node-1, for: 3s} & {at: 2s, pause: , target: node-1, for: 3s}",
        "s.yaml:6: timeline[1]: pause-2 and kill-1 hit node-1 at the same",
    ),
    (
        "{at: 1s, cpu: 10%, target: node-1, for: 3s} & {at: 2s, cpu: 20%, target: all, for: 3s}",
        "s.yaml:6: timeline[1]: cpu-2 and cpu-1 hit node-1 at the same",
    ),
    (
        "{at: 1s, restart: , target: node-1} & {at: 1s, restart: , target: node-1}",
        "s.yaml:6: timeline[1]: restart-2 and restart-1 hit node-1 at the",
    ),
    (
        "{at: 1s, loss: 20%, target: node-1, for: 25h}",
        "s.yaml:5: timeline[0].for: '25h': allowed is a time from 0us to",
    ),
    (
        "{at: 1s, bursts: {p: 1%, r: 0%}, target: node-1, for: 3s}",
        "s.yaml:5: timeline[0].bursts: {'p': '1%', 'r': '0%'}: allowed is",
    ),
    (
        "{at: 1s, delay: {delay: 5ms, jitter: 50ms}, target: node-1, for: 3s}",
        "s.yaml:5: timeline[0].delay.jitter: '50ms': allowed is at most",
    ),
    (
        "{at: 1s, delay: {delay: 5ms, order: random}, target: node-1, for: 3s}",
        "s.yaml:5: timeline[0].delay.order: 'random': allowed is one of",
    ),
    (
        "{at: 1s, partition: {shape: groups, groups: [[node-1],[node-9]]}, for: 3s}",
        "s.yaml:5: timeline[0].partition.groups[1]: no node or group",
    ),
    (
        "{at: 1s, partition: {shape: groups, groups: [[node-1]]}, for: 3s}",
        "s.yaml:5: timeline[0].partition.groups: [['node-1']]: allowed are",
    ),
    (
        "{at: 1s, partition: {shape: groups, groups: [[node-1],[node-1,node-2]]}, for: 3s}",
        "s.yaml:5: timeline[0].partition.groups[1]: node-1 is in two",
    ),
    (
        "{at: 1s, partition: {shape: groups, groups: []}, for: 3s}",
        "s.yaml:5: timeline[0].partition.groups: []: allowed are two parts",
    ),
    (
        "{at: 1s, partition: halves, target: node-1, for: 3s}",
        "s.yaml:5: timeline[0].target: allowed is none with the shape",
    ),
    (
        "{at: 1s, partition: halves, direction: out, for: 3s}",
        "s.yaml:5: timeline[0].direction: is for faults of links only",
    ),
    ("{at: 1s, partition: half, for: 3s}", "s.yaml:5: timeline[0].partition: 'half': allowed is one of one,"),
    (
        "{at: 1s, flap: {up: 0s, down: 0s}, target: node-1, for: 3s}",
        "s.yaml:5: timeline[0].flap.up: '0s': allowed is a time from 10ms",
    ),
    (
        "{at: 1s, flap: {up: 1us, down: 1us}, target: node-1, for: 30s}",
        "s.yaml:5: timeline[0].flap.up: '1us': allowed is a time from 10ms",
    ),
    ("{at: 1s, churn: {every: 0s}, for: 3s}", "s.yaml:5: timeline[0].churn.every: '0s': allowed is a time from"),
    ("{at: 1s, churn: {every: 1us}, for: 3s}", "s.yaml:5: timeline[0].churn.every: '1us': allowed is a time from"),
    (
        "{at: 1s, hostile: evil, target: node-1, for: 3s}",
        "s.yaml:5: timeline[0].hostile: 'evil': allowed is one of flood,",
    ),
    (
        "{at: 1s, clock: {ahead: 3s, behind: 3s}, target: node-1, for: 3s}",
        "s.yaml:5: timeline[0].clock: allowed is one of ahead and behind,",
    ),
    ("{at: 1s, clock: , target: node-1, for: 3s}", "s.yaml:5: timeline[0].clock: allowed is at least one of ahead,"),
    ("{at: 1s, cpu: 0%, target: node-1, for: 3s}", "s.yaml:5: timeline[0].cpu: '0%': allowed is a share from 1% to"),
    ("{at: 1s, memory: 0, target: node-1, for: 3s}", "s.yaml:5: timeline[0].memory: 0: allowed is a size from 6MiB to"),
    (
        "{at: 1s, memory: 1B, target: node-1, for: 3s}",
        "s.yaml:5: timeline[0].memory: '1B': allowed is a size from 6MiB",
    ),
    ("{at: 1s, restart: , target: node-1, for: 3s}", "s.yaml:5: timeline[0].for: restart happens at once and takes no"),
    (
        "{at: 1s, loss: 5%, kill: , target: node-1, for: 3s}",
        "s.yaml:5: timeline[0]: has loss and kill; allowed is exactly one",
    ),
    (
        "{at: 1s, kill: true, target: node-1, for: 3s}",
        "s.yaml:5: timeline[0].kill: True: allowed is a mapping or nothing",
    ),
    (
        "{at: 1s, kill: {lose_state: yes please}, target: node-1, for: 3s}",
        "s.yaml:5: timeline[0].kill.lose_state: 'yes please': allowed is",
    ),
    (
        "{at: 1s, id: a, loss: 5%, target: node-1, for: 3s} & {at: 8s, id: a, loss: 5%, target: node-1, for: 3s}",
        "s.yaml:6: timeline[1]: two faults are called 'a'; give one of",
    ),
    (
        "{at: 1s, id: Split A, loss: 5%, target: node-1, for: 3s}",
        "s.yaml:5: timeline[0].id: 'Split A': allowed is a name: a small",
    ),
    (
        "{at: 1s, id: 5, loss: 5%, target: node-1, for: 3s}",
        "s.yaml:5: timeline[0].id: 5: allowed is a name: a small letter,",
    ),
    (
        "{at: 1s, id: loss-2, loss: 5%, target: node-1, for: 3s} & {at: 8s, loss: 5%, target: node-1, for: 3s}",
        "s.yaml:6: timeline[1]: two faults are called 'loss-2'; give one",
    ),
    (
        "{at: 2026-01-01, loss: 5%, target: node-1, for: 3s}",
        "s.yaml:5: timeline[0].at: '2026-01-01': allowed is a time from",
    ),
    (
        "{at: .nan, loss: 5%, target: node-1, for: 3s}",
        "s.yaml:5: timeline[0].at: nan: allowed is a time from 0us to 24h",
    ),
    (
        "{at: .inf, loss: 5%, target: node-1, for: 3s}",
        "s.yaml:5: timeline[0].at: inf: allowed is a time from 0us to 24h",
    ),
    (
        "{at: soon, loss: 5%, target: node-1, for: 3s}",
        "s.yaml:5: timeline[0].at: 'soon': allowed is a time from 0us to",
    ),
]
PARTS = [
    ("timelin: []", "s.yaml:4: timelin: unknown; did you mean timeline? allowed is one"),
    ("limit: 0s", "s.yaml:4: limit: 0us: allowed is more than 0us, when the last"),
    ("links: {preset: 5g}", "s.yaml:4: links.preset: '5g': allowed is one of dsl, lte, 3g,"),
    ("links: {preset: [lte]}", "s.yaml:4: links.preset: ['lte']: allowed is one of dsl, lte, 3g,"),
    ("links: lte", "s.yaml:4: links: 'lte': allowed is a mapping"),
    ("links: {all: {delay: 5ms, jitter: 10ms}}", "s.yaml:4: links.all.jitter: '10ms': allowed is at most delay, 5ms"),
    ("links: {all: {jitter: 10ms}}", "s.yaml:4: links.all.jitter: '10ms': allowed is at most delay,"),
    (
        "links: {preset: lte, rules: [{from: node-1, to: node-2, jitter: 10ms}]}",
        "s.yaml:4: links.rules[0].jitter: '10ms': allowed is at most",
    ),
    ("links: {all: {queue: 10KiB}}", "s.yaml:4: links.all.queue: '10KiB': allowed is a queue for a rate"),
    ("links: {all: {mtu: 10}}", "s.yaml:4: links.all.mtu: 10: allowed is a size from 64B to"),
    ("links: {all: {mtu: 1GiB}}", "s.yaml:4: links.all.mtu: '1GiB': allowed is a size from 64B to"),
    (
        "links: {rules: [{from: node-1, to: node-1, loss: 5%}]}",
        "s.yaml:4: links.rules[0].to: 'node-1': allowed is another node",
    ),
    ("links: {rules: [{from: node-1, to: node-2}]}", "s.yaml:4: links.rules[0]: changes nothing: allowed is at least"),
    (
        "links: {rules: [{from: node-1, to: node-2, los: 5%}]}",
        "s.yaml:4: links.rules[0].los: unknown; did you mean loss? allowed",
    ),
    ("links: {all: {bursts: {p: 1%, r: 0}}}", "s.yaml:4: links.all.bursts: {'p': '1%', 'r': 0}: allowed is a"),
    ("runners: [kubernetes]", "s.yaml:4: runners[0]: 'kubernetes': allowed is one of docker,"),
    ("runners: []", "s.yaml:4: runners: []: allowed is a list of at least 1"),
    ("runners: sim", "s.yaml:4: runners: 'sim': allowed is a list"),
    ("backend: tc", "s.yaml:4: backend: 'tc': allowed is one of auto, netem, nft, wire"),
    ("load: {publish: -5/s}", "s.yaml:4: load.publish: '-5/s': allowed is a frequency from 0/m"),
    ("load: {publish: 5/s, size: 1GiB}", "s.yaml:4: load.size: '1GiB': allowed is a size from 0B to 256KiB"),
    ("load: {publish: 1000000/s}", "s.yaml:4: load.publish: '1000000/s': allowed is a frequency from"),
    ("load: {from: node-7}", "s.yaml:4: load.from: no node or group 'node-7'; there are all,"),
    ("load: {publish: 5 per second}", "s.yaml:4: load.publish: '5 per second': allowed is a frequency"),
    ("steady: [{metric: up}]", "s.yaml:4: steady[0].metric: unknown; allowed is one of peers,"),
    ("steady: [{prom: up}]", "s.yaml:4: steady[0]: allowed is exactly one of at_least, at_most,"),
    ("steady: [{prom: up, log: x, above: 1}]", "s.yaml:4: steady[0]: allowed is exactly one of peers, prom,"),
    ("steady: [{prom: up, above: '1'}]", "s.yaml:4: steady[0].above: '1': allowed is a number"),
    (
        "steady: [{prom: 'positron_nonexistent', above: 1}]",
        "s.yaml:4:17: steady[0].prom: 'positron_nonexistent': no node has",
    ),
    (
        "steady: [{prom: 'sum(rate(positron_link_retransmited_packets_total[5s]))', above: 1}]",
        "s.yaml:4:17: steady[0].prom:",
    ),
    ("steady: [{state: no.such.path, above: 1}]", "s.yaml:4:18: steady[0].state: 'no.such.path': no node has that"),
    ("steady: [{http: readyz, equals: 200}]", "s.yaml:4: steady[0].http: 'readyz': allowed is a path of the HTTP"),
    ("steady: [{prom: '', above: 1}]", "s.yaml:4:17: steady[0].prom: '': no expression found in input"),
    (
        "steady: [{prom: 'predict_linear(up[5m], 3)', above: 1}]",
        "s.yaml:4:17: steady[0].prom: 'predict_linear(up[5m], 3)':",
    ),
    ("steady: [{prom: 'irate(up[5m])', above: 1}]", "s.yaml:4:17: steady[0].prom: 'irate(up[5m])': irate() is not"),
    ("steady: [{log: '*x', above: 1}]", "s.yaml:4:16: steady[0].log: '*x': nothing to repeat at position 0"),
    ("invariants: [no_duplicate]", "s.yaml:4: invariants[0]: 'no_duplicate': allowed is one of"),
    ("invariants: [rss_below]", "s.yaml:4: invariants[0]: 'rss_below': allowed is one of"),
    ("invariants: [{rss_below: 150MB}]", "s.yaml:4: invariants[0].rss_below: '150MB': allowed is a size"),
    ("invariants: [{cpu_below: 1}]", "s.yaml:4: invariants[0].cpu_below: unknown; did you mean"),
    ("collect: [pcap]", "s.yaml:4: collect[0]: 'pcap': allowed is one of metrics, history,"),
]
EXPECTATIONS = [
    ("detects: a, within: 3s", "s.yaml:6: expect[0].detects: unknown; did you mean detect?"),
    ("detect: b, when: {peers: all}, within: 3s", "s.yaml:6: expect[0].detect: no fault 'b'; there are a"),
    ("detect: a, when: {peers: all}", "s.yaml:6: expect[0]: detect needs `within`: how long it may take"),
    ("detect: a, within: 3s", "s.yaml:6: expect[0]: allowed is exactly one of `when` and `to:"),
    (
        "recover: a, to: steady, when: {peers: all}, within: 3s",
        "s.yaml:6: expect[0]: allowed is exactly one of `when` and `to:",
    ),
    ("recover: a, to: healthy, within: 3s", "s.yaml:6: expect[0].to: 'healthy': allowed is one of steady"),
    ("hold: a, when: {peers: all}, within: 5s", "s.yaml:6: expect[0]: there is no time to hold in: a lasts 3s,"),
    ("detect: a, when: {prom: up}, within: 3s", "s.yaml:6: expect[0].when: allowed is exactly one of at_least,"),
    (
        "detect: a, when: {state: x, above: 1, target: node-8}, within: 3s",
        "s.yaml:6: expect[0].when.target: no node or group 'node-8'; there",
    ),
]
REST = [
    (
        "limit: 2s\ntimeline:\n  - {at: 1s, loss: 20%, target: node-1, for: 30s}",
        "limit: 2s: allowed is more than 31s, when the last",
    ),
    (
        "limit: 20s\ntimeline:\n  - {at: 1s, loss: 20%, target: node-1, for: 30s}",
        "limit: 20s: allowed is more than 31s, when the last",
    ),
    (
        "topology: {nodes: 2}\ntimeline:\n  - {at: 1s, partition: majority, for: 3s}",
        "timeline[0]: partition hits nobody: allowed is one that",
    ),
    (
        "topology: {nodes: 3}\ntimeline:\n  - {at: 1s, partition: ring, for: 3s}",
        "timeline[0]: partition hits nobody: allowed is one that",
    ),
    ("x: &a [1]\ntimeline: []", "x: unknown; allowed is one of schema, title,"),
    ("title: u\ntimeline: []", "title: is given twice"),
    ("topology:\n\tnodes: 4\ntimeline: []", "found character '\\t' that cannot start any token"),
    (
        "links: &l {preset: lte}\ntopology:\n  <<: *l\ntimeline: []",
        "topology.<<: unknown; allowed is one of nodes, groups,",
    ),
    ("? {a: b}\n: c\ntimeline: []", "a key: allowed is plain text"),
    ("5: c\ntimeline: []", "5: unknown; allowed is one of schema, title,"),
    ("~: c\ntimeline: []", "~: unknown; allowed is one of schema, title,"),
    ("timeline: []\n---\nschema: 1", "expected a single document in the stream but found"),
    ("steady: !!set {a}\ntimeline: []", "steady: tag set: allowed are plain values"),
    ("seed: -1\ntimeline: []", "seed: -1: allowed is at least 0"),
    ("seed: 1.5\ntimeline: []", "seed: 1.5: allowed is a whole number"),
    ("seed: true\ntimeline: []", "seed: True: allowed is a whole number"),
    ("seed: 99999999999999999999999999999\ntimeline: []", "seed: 99999999999999999999999999999: allowed is at most"),
    ("topology: {nodes: 1}\ntimeline: []", "topology.nodes: 1: allowed is at least 2"),
    ("topology: {nodes: 5000}\ntimeline: []", "topology.nodes: 5000: allowed is at most 1000"),
    ("topology: {nodes: many}\ntimeline: []", "topology.nodes: 'many': allowed is a whole number"),
    ("topology: {nodes: 4.0}\ntimeline: []", "topology.nodes: 4.0: allowed is a whole number"),
    (
        "topology: {nodes: 4, groups: {eu: 3, us: 3}}\ntimeline: []",
        "topology.groups: groups have 6 nodes, and there are 4",
    ),
    ("topology: {nodes: 4, groups: {all: 3}}\ntimeline: []", "topology.groups: a group 'all': allowed is a name that"),
    ("topology: {nodes: 4, groups: {node-1: 3}}\ntimeline: []", "topology.groups: a group 'node-1': allowed is a name"),
    (
        "topology: {nodes: 4, groups: {seed: 3}}\ntimeline: []",
        "topology.groups: a group 'seed': allowed is a name that",
    ),
    ("topology: {nodes: 4, groups: {EU: 3}}\ntimeline: []", "topology.groups: 'EU': allowed is a name: a small"),
    ("topology: {nodes: 4, groups: {eu: 0}}\ntimeline: []", "topology.groups.eu: 0: allowed is at least 1"),
    (
        "topology: {nodes: 4, settings: {heartbeat_intervall: 1}}\ntimeline: []",
        "topology.settings.heartbeat_intervall: unknown; did you",
    ),
    (
        "topology: {nodes: 4, settings: {heartbeat_interval: -1}}\ntimeline: []",
        "topology.settings.heartbeat_interval: -1: allowed is a",
    ),
    (
        "topology: {nodes: 4, settings: {heartbeat_interval: fast}}\ntimeline: []",
        "topology.settings.heartbeat_interval: 'fast': allowed",
    ),
    (
        "timeline:\n  - {at: 1s, id: a, restart: , target: node-1}\nexpect: [{hold: a, when: {peers: all}}]",
        "expect[0]: there is no time to hold in: a lasts no",
    ),
    ("timeline: {at: 1s}", "timeline: {'at': '1s'}: allowed is a list"),
    ("timeline:", "timeline: None: allowed is a list"),
    ("timeline: [kill node-1]", "timeline[0]: 'kill node-1': allowed is a mapping"),
]
FILES = [
    ("schema: 2\ntitle: t\ntimeline: []\n", "s.yaml:1: schema: 2: allowed is 1"),
    ("schema: '1'\ntitle: t\ntimeline: []\n", "s.yaml:1: schema: '1': allowed is 1"),
    ("title: t\ntimeline: []\n", "s.yaml:1: schema is missing"),
    ("schema: true\ntitle: t\ntimeline: []\n", "s.yaml:1: schema: True: allowed is 1"),
    ("schema: 1\ntitle: 5\ntimeline: []\n", "s.yaml:2: title: 5: allowed is text"),
    (
        "schema: 1\ntitle: !!python/object/apply:os.system ['id']\ntimeline: []\n",
        "s.yaml:2: title: tag python/object/apply:os.system: allowed are",
    ),
    ("", "s.yaml:1: the file is empty"),
    ("# nothing\n", "s.yaml:1: the file is empty"),
    ("- a\n", "s.yaml:1: ['a']: allowed is a mapping"),
    ("hello\n", "s.yaml:1: 'hello': allowed is a mapping"),
    ("schema: 1\ntitle: [t\ntimeline: []\n", "s.yaml:3:9: expected ',' or ']', but got ':'"),
    ("schema: 1\ntitle: a: b\ntimeline: []\n", "s.yaml:2:9: mapping values are not allowed here"),
    ("schema: 1\ntitle: a\x07b\ntimeline: []\n", "s.yaml:2: the character #x0007 is not allowed"),
    ("schema: 1\ntitle: !!binary aGVsbG8=\ntimeline: []\n", "s.yaml:2: title: tag binary: allowed are plain values"),
]


def told(text: str | bytes, folder: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What `lint` says of a file; running it is refused with the first of these lines."""
    path = folder / "s.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    assert main(["chaos", "lint", str(path)]) == 1
    lines = capsys.readouterr().out.replace(str(path), "s.yaml").splitlines()
    assert main(["chaos", "run", str(path), "--runner", "sim", "--out", str(folder / "runs")]) == 2
    said = capsys.readouterr()
    assert said.err.replace(str(path), "s.yaml").startswith(f"testnet: {lines[0]}")
    assert said.err.count("\n") == 1
    assert not said.out
    assert not (folder / "runs").exists()
    return lines


@pytest.mark.parametrize(("entries", "said"), FAULTS)
def test_a_fault_that_cannot_be(entries: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    timeline = "".join(f"  - {entry}\n" for entry in entries.split(" & "))
    assert told(f"{HEAD}timeline:\n{timeline}", tmp_path, capsys)[0].startswith(said)


@pytest.mark.parametrize(("part", "said"), PARTS)
def test_a_part_that_cannot_be(part: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert told(f"{HEAD}{part}\ntimeline: []\n", tmp_path, capsys)[0].startswith(said)


@pytest.mark.parametrize(("one", "said"), EXPECTATIONS)
def test_an_expectation_that_cannot_be(one: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert told(f"{HEAD}{FAULT}expect: [{{{one}}}]\n", tmp_path, capsys)[0].startswith(said)


@pytest.mark.parametrize(("text", "said"), REST)
def test_a_scenario_that_cannot_be(text: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    topology = "" if "topology" in text else "topology: {nodes: 4}\n"
    assert said in told(f"schema: 1\ntitle: t\n{topology}{text}\n", tmp_path, capsys)[0]


@pytest.mark.parametrize(("text", "said"), FILES)
def test_a_file_that_cannot_be(text: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert told(text, tmp_path, capsys)[0].startswith(said)


def test_a_file_that_unfolds_nests_or_is_no_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    unfolding = "a: &a [1,1,1,1,1,1,1,1,1]\n" + "".join(
        f"{b}: &{b} [{','.join(['*' + a] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
    )
    for text, said in (
        (unfolding, "allowed are up to 20000 values"),
        ("schema: 1\ntimeline: &a [*a]\n", "nested too deeply"),
        (f"schema: 1\ntimeline: {'[' * 3000}{']' * 3000}\n", "nested too deeply"),
        ("schema: 1\ntitle: " + "x" * 300_000, "allowed is a file of up to 262144 bytes"),
        (b"schema: 1\ntitle: caf\xe9\n", "s.yaml:2: the byte 0xe9 is not UTF-8"),
        (b"\xff\xfe\x00", "s.yaml:1: the byte 0xff is not UTF-8"),
    ):
        assert said in told(text, tmp_path, capsys)[0]


def test_keys_that_are_missing_are_told_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert told("timeline: []\n", tmp_path, capsys) == ["s.yaml:1: schema, title is missing"]

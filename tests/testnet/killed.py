"""Every kind of fault that has an end, as a scenario has it: what has to be over though its controller was killed."""

from __future__ import annotations

__all__ = ["ONE_BY_ONE", "ON_LINKS", "ON_NODES", "SEEN_AS"]

ON_NODES = {
    "kill": "kill: ",
    "stop": "stop: ",
    "pause": "pause: ",
    "cpu": "cpu: 30%",
    "memory": "memory: 256MiB",
    "disk_full": "disk_full: ",
    "dns": "dns: ",
    "clock": "clock: {ahead: 40s}",
    "hostile": "hostile: silent_dropper",
}
ON_LINKS = {
    "partition": "partition: one",
    "loss": "loss: 30%",
    "bursts": "bursts: {p: 5%, r: 20%}",
    "delay": "delay: 30ms",
    "reorder": "reorder: 20%",
    "duplicate": "duplicate: 20%",
    "corrupt": "corrupt: 5%",
    "rate": "rate: 1mbit",
    "mtu": "mtu: 1200B",
    "flap": "flap: {up: 2s, down: 4s}",
}
ONE_BY_ONE = {"churn": "churn: {every: 4s, down: 3s}", "rolling_restart": "rolling_restart: 3s"}
"""What hits one node after the other, the next one by the controller alone."""

SEEN_AS = {"kill": "down", "stop": "down", "pause": "paused", "churn": "down", "rolling_restart": "down"}
"""How a kind looks from outside, where it is not by its own name."""

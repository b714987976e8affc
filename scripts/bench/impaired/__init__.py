"""The parts of `scripts/bench/run peers`: impaired links, loads, and the two ends of each peer."""

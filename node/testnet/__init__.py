"""Starts and watches testnets of many nodes: the console script `testnet`. Needs the extra `testnet`."""

"""The boards as a page that a testnet draws of itself, live, for machines without Grafana."""

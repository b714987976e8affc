"""The promises of a network, each watched by one checker while a simulation runs."""

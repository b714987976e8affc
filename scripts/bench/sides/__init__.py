"""The two ends of a measurement, one module per transport; see `pairs` for how they are run."""

"""Where nodes run: one module per kind of place."""

"""Ten nodes of one kind in one process: one module per kind, and the load that is put on all of them."""

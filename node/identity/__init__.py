"""The long-lived identity of a node: an Ed25519 key pair, in memory. Files belong to `node.storage`."""

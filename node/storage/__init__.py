"""What a node keeps on disk. A shell layer: files and locks, no protocol."""

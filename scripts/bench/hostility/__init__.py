"""What peers with keys of their own, and strangers without one, can do to a real node over real sockets."""

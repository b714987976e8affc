"""Congestion controllers behind one interface (`base.Controller`)."""

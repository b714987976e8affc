"""The ends: each module has `receive(address, meter, variant)` and `send(address, load, variant)`."""

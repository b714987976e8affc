"""Cryptographic building blocks: the Noise handshake pattern, the packet cipher and the keyed hashes.

Knows keys and bytes, nothing of packets, peers or networks. With `node.identity` the only importer of PyNaCl.
"""

"""The bytes of datagrams and records: headers, frames, parameters, and every limit of the protocol.

The only place that parses what came out of a UDP socket; for any bytes it returns a value or raises `DecodeError`.
"""

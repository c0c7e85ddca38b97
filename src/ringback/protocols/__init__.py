"""Protocols: bytes in, bytes out.

Each package here reads like the specification it implements. Nothing below this line does I/O, reads a clock, draws
randomness by itself or knows a room: the caller passes `now_ms` and a `Callable[[int], bytes]`.
"""

"""Ringback: the server side of a mobile app (see README.md)."""

"""Weft, a Matrix homeserver. `weft.protocol` is its core and can be used alone."""

__version__ = "0.1.0"

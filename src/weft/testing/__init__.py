"""A whole server in one process, a clock that tests move, and clients that talk to it without a network."""

from weft.testing.client import Answer, Client
from weft.testing.clock import Clock
from weft.testing.network import Faults, Network
from weft.testing.server import TestServer, Twins

__all__ = ["Answer", "Client", "Clock", "Faults", "Network", "TestServer", "Twins"]

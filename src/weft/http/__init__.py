"""Both ends of HTTP: the ASGI application that answers requests, and the client that makes them.

It knows endpoints as data (`weft.protocol.api`) and nothing of rooms, users or storage: who is asking, how often
they may, and what the answer is are given to it (`Authenticator`, `Limiter`, `Route`).
"""

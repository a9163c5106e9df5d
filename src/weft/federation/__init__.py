"""Talking to other homeservers: where they are, what their keys are, how requests are signed, sent and checked.

Knows servers and requests, not rooms. What an endpoint means is a module's business; what an event does is
`weft.rooms`'.

https://spec.matrix.org/v1.19/server-server-api/
"""

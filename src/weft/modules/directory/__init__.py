"""Room aliases, and the directory of published rooms."""

from __future__ import annotations

from weft.modules.directory.client_api import DirectoryApi
from weft.modules.directory.federation_api import FederationApi
from weft.modules.directory.remote import Located, RemoteDirectories
from weft.modules.directory.service import Directory
from weft.modules.directory.summary import SUMMARY_KEYS, chunk_of, summary_of
from weft.modules.module import Module

__all__ = ["SUMMARY_KEYS", "Directory", "Located", "RemoteDirectories", "chunk_of", "module", "summary_of"]


def module(directory: Directory, *, shows_rooms: bool) -> Module:
    """`shows_rooms`: to other servers."""
    others = FederationApi(directory, shows_rooms=shows_rooms)
    return Module(name="directory", routes=[*DirectoryApi(directory).routes(), *others.routes()])

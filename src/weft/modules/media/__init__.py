"""The content repository: files that people upload, and those of other servers that they look at.

https://spec.matrix.org/v1.19/client-server-api/#content-repository
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from weft.federation.federation import Federation
from weft.http.client import HttpClient
from weft.modules.media.admin_api import AdminApi
from weft.modules.media.administration import Administration
from weft.modules.media.client_api import MediaApi
from weft.modules.media.federation_api import FederationApi
from weft.modules.media.files import Disk, FolderStore, Store
from weft.modules.media.keeping import Keeping
from weft.modules.media.metrics import MediaMetrics
from weft.modules.media.pictures import Picture, Pictures
from weft.modules.media.remote import RemoteMedia
from weft.modules.media.service import MediaService
from weft.modules.media.thumbnails import Thumbnails
from weft.modules.module import Module, Task
from weft.rooms.engine import Engine
from weft.settings import Media as MediaSettings
from weft.settings import ObjectStorage
from weft.storage.database import Transaction

__all__ = ["Media", "Picture", "Pictures", "build"]


class Media(NamedTuple):
    """The module, and what others may keep in it."""

    module: Module
    pictures: Pictures


def build(
    engine: Engine,
    settings: MediaSettings,
    federation: Federation,
    *,
    read_secret: Callable[[Path], str],
    web: HttpClient,
    exists: Callable[[str], Awaitable[bool]],
    pictures: Callable[[Transaction], Iterable[bytes]],
) -> Media:
    """`read_secret` reads the one line of a secret's file. `web` is for what other servers have elsewhere; it is closed
    with the module.

    `exists`: whether there is, or was, an account. `pictures`: the texts of the profiles that are here.
    """
    disk, metrics = Disk(settings.folder), MediaMetrics()
    storage = settings.object_storage
    files = _bucket(disk, storage, read_secret) if storage.bucket else FolderStore(disk)
    keeping = Keeping(engine, disk, files)
    origin = federation.own_keys.server_names[0]
    remote = RemoteMedia(engine, settings, keeping, metrics, peers=federation.peers, web=web, origin=origin)
    media = MediaService(engine, settings, keeping, metrics, fetch=remote.fetch)
    thumbnails = Thumbnails(engine, settings, keeping, metrics, media=media)

    async def close_files() -> None:
        await files.close()
        disk.close()

    module = Module(
        name="media",
        routes=[
            *MediaApi(media, thumbnails, settings).routes(),
            *FederationApi(engine, media, thumbnails).routes(),
            *AdminApi(engine, Administration(engine, keeping, exists=exists, pictures=pictures)).routes(),
        ],
        starts=[disk.make_folders],
        stops=[remote.close, thumbnails.close, close_files],
        tasks=[
            Task(name="media that nothing refers to", every_seconds=600, run=media.prune),
            Task(name="files of media that a crash left behind", every_seconds=24 * 3600, run=media.sweep),
        ],
        collectors=[metrics],
    )
    return Media(module, Pictures(media, thumbnails))


def _bucket(disk: Disk, storage: ObjectStorage, read_secret: Callable[[Path], str]) -> Store:
    # Its library takes a while to load, and most servers have a folder.
    from weft.modules.media.object_store import BucketStore

    return BucketStore(disk, storage, read_secret(storage.secret_key_file) if storage.secret_key_file else "")

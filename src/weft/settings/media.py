"""Files, and what links lead to."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from weft.settings.values import ByteSize, Count, Doc, Duration, Section


class ObjectStorage(Section, frozen=True, kw_only=True):
    """Where media is kept instead of the folder: a bucket of S3, or of something that speaks like it."""

    bucket: Annotated[
        str,
        Doc(
            text="The bucket's name; without one, media is in the folder. It must be there already, and be nobody "
            "else's: files in it that Weft does not know are taken for leftovers and removed.",
            example='"weft-media"',
            risk="A bucket that the public can read shows all media to everybody.",
        ),
    ] = ""
    endpoint: Annotated[
        str | None,
        Doc(text="The address of the service, where it is not Amazon's.", example='"https://s3.example.org"'),
    ] = None
    region: Annotated[str, Doc(text="The region of the bucket.")] = "us-east-1"
    access_key_id: Annotated[str, Doc(text="The name of the access key.", example='"AKIAIOSFODNN7EXAMPLE"')] = ""
    secret_key_file: Annotated[
        Path | None,
        Doc(text="The file that holds the secret of the access key.", example='"s3.secret"'),
    ] = None
    prefix: Annotated[str, Doc(text="What the names of all objects begin with.", example='"media/"')] = ""


class Media(Section, frozen=True, kw_only=True):
    """Files that people upload, and those of other servers that they look at."""

    folder: Annotated[
        Path,
        Doc(
            text="The folder of the files. Of several processes all must see the same folder, or use object storage.",
        ),
    ] = Path("media")
    max_upload_size: Annotated[
        ByteSize,
        Doc(
            text="The most bytes that one file may have. Clients are told. A reverse proxy in front of Weft has a "
            "limit of its own (nginx: client_max_body_size).",
        ),
    ] = ByteSize.parse("100M")
    user_limit: Annotated[
        ByteSize | None,
        Doc(
            text="The most bytes that all files of one account may have together. Who is at the limit can upload again "
            "once an administrator has deleted files of theirs. Without it there is none.",
            example='"5G"',
            risk="Without a limit one account can fill the disk.",
        ),
    ] = None
    max_pending_uploads: Annotated[
        Count, Doc(text="How many files an account may have announced without having uploaded them yet.")
    ] = 20
    pending_upload_lifetime: Annotated[Duration, Doc(text="How long an announced file is waited for.")] = (
        Duration.parse("24h")
    )
    max_remote_size: Annotated[
        ByteSize,
        Doc(text="The most bytes that a file of another server may have; larger ones are not fetched."),
    ] = ByteSize.parse("100M")
    remote_cache: Annotated[
        ByteSize,
        Doc(
            text="The most bytes that the files of other servers, and thumbnails of them, may take on disk. Those "
            "that were not looked at for longest go first; they are fetched again when somebody asks.",
        ),
    ] = ByteSize.parse("10G")
    authenticated: Annotated[
        bool,
        Doc(
            text="Whether files that come in from now on are shown to those with an access token only (since v1.11 of "
            "the specification). Files from before stay open to everybody who knows their address.",
            risk="Without it strangers can use this server to spread files: whoever has the address, which is in "
            "every message that carries a file, can fetch it without an account. Very old clients and bridges show "
            "no pictures with it.",
        ),
    ] = True
    max_image_pixels: Annotated[
        Count,
        Doc(
            text="The most pixels (over all frames that are looked at) that a picture may have of which thumbnails are "
            "made.",
            risk="A picture of a few kilobytes can claim any size; each pixel takes some 8 bytes of memory while its "
            "thumbnail is made.",
        ),
    ] = 60_000_000
    thumbnail_processes: Annotated[
        Count,
        Doc(text="How many thumbnails are made at the same time. Each takes a process, which ends when it is idle."),
    ] = 2
    object_storage: ObjectStorage = ObjectStorage()


class Push(Section, frozen=True, kw_only=True):
    """Notifications to push gateways, which wake the devices of this server's users."""

    allowed_addresses: Annotated[
        tuple[str, ...],
        Doc(
            text="Networks in which push gateways may be although they are private.",
            example='["10.8.0.0/16"]',
            risk="Everybody with an account can then have this server post notifications to addresses there.",
        ),
    ] = ()


class UrlPreviews(Section, frozen=True, kw_only=True):
    """What links in messages lead to: a title, some words and a picture, for clients that ask."""

    enabled: Annotated[
        bool,
        Doc(
            text="Whether this server looks at pages for its users.",
            risk="The server asks addresses that its users choose. Private ones are never reached, but the pages' "
            "owners learn this server's address, and when somebody here wrote or read their link. Previews cost "
            "bandwidth and disk.",
        ),
    ] = False
    allowed_domains: Annotated[
        tuple[str, ...],
        Doc(
            text="Patterns of host names; where there are some, no other pages are looked at.",
            example='["*.example.org", "example.org"]',
        ),
    ] = ()
    denied_domains: Annotated[
        tuple[str, ...],
        Doc(text="Patterns of host names whose pages are never looked at.", example='["*.internal.example.org"]'),
    ] = ()
    allowed_addresses: Annotated[
        tuple[str, ...],
        Doc(
            text="Networks that may be reached although they are private.",
            example='["10.8.0.0/16"]',
            risk="Everybody with an account can then look at the pages there.",
        ),
    ] = ()
    denied_addresses: Annotated[
        tuple[str, ...],
        Doc(text="Networks that are never reached, besides the private ones.", example='["203.0.113.0/24"]'),
    ] = ()
    languages: Annotated[
        str, Doc(text="The languages that pages are asked for, as browsers say it (Accept-Language).")
    ] = "en"
    lifetime: Annotated[Duration, Doc(text="How long a preview is kept before the page is looked at again.")] = (
        Duration.parse("12h")
    )

"""The rows of previews."""

from __future__ import annotations

from weft.storage.database import Transaction, WriteTransaction


def find(tx: Transaction, url: str, now_ms: int) -> bytes | None:
    """A preview that is still good."""
    json = tx.value("SELECT json FROM url_previews WHERE url = :url AND expires_ms > :now", url=url, now=now_ms)
    return None if json is None else bytes(json)


def put(tx: WriteTransaction, url: str, json: bytes, now_ms: int, expires_ms: int) -> None:
    tx.put(
        """INSERT INTO url_previews (url, json, fetched_ms, expires_ms) VALUES (:url, :json, :now, :expires)
           ON CONFLICT (url) DO UPDATE SET
               json = excluded.json, fetched_ms = excluded.fetched_ms, expires_ms = excluded.expires_ms""",
        url=url,
        json=json,
        now=now_ms,
        expires=expires_ms,
    )


def add_picture(tx: WriteTransaction, server_name: str, media_id: str, until_ms: int) -> None:
    tx.put(
        """INSERT INTO url_preview_pictures (server_name, media_id, until_ms)
           VALUES (:server_name, :media_id, :until)""",
        server_name=server_name,
        media_id=media_id,
        until=until_ms,
    )


def prune(tx: WriteTransaction, now_ms: int) -> None:
    """Removes previews that are no longer good."""
    tx.put("DELETE FROM url_previews WHERE expires_ms <= :now", now=now_ms)


def old_pictures(tx: Transaction, now_ms: int, at_most: int) -> list[tuple[str, str]]:
    """Pictures that nobody should look at any more."""
    rows = tx.all(
        "SELECT server_name, media_id FROM url_preview_pictures WHERE until_ms <= :now LIMIT :most",
        now=now_ms,
        most=at_most,
    )
    return [(server_name, media_id) for server_name, media_id in rows]


def pictures_removed(tx: WriteTransaction, pictures: list[tuple[str, str]]) -> None:
    tx.many(
        "DELETE FROM url_preview_pictures WHERE server_name = :server_name AND media_id = :media_id",
        [{"server_name": server_name, "media_id": media_id} for server_name, media_id in pictures],
    )

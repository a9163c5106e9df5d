"""Every server's signing keys: in memory, in the database, or fetched; and the checking of signatures by them.

    keys = await keyring.lookup([("example.org", "ed25519:a")], at_ms=now)     # then: keys(server, key_id)
    wrong = await keyring.verify_events(events)                               # event id → why it is not signed well

Our own domains' keys are known without asking. A key counts until its server says that it ended, and at most a week
from when one was told of it. What is known is not asked for again; what is not known is asked for once, however many
wait for it; who did not answer is left alone for a while.

https://spec.matrix.org/v1.19/server-server-api/#retrieving-server-keys
https://spec.matrix.org/v1.19/rooms/v5/#signing-key-validity-period
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, NamedTuple

import structlog

from weft.federation import key_store
from weft.federation.key_fetcher import KeyFetcher
from weft.federation.key_store import Document, KnownKey
from weft.federation.own_keys import OwnKeys
from weft.protocol import canonical_json
from weft.protocol.errors import NotNow, PeerError, Unreachable
from weft.protocol.event import Event, KeyLookup, required_signers, verify
from weft.protocol.identifiers import is_valid_server_name
from weft.protocol.server_keys import MAX_LIFETIME_MS, ServerKeys
from weft.protocol.signatures import VerifyKey, key_ids_of, verify_json
from weft.storage.cache import Budget, Cache
from weft.storage.database import Database

log = structlog.get_logger(__name__)

#: The key ids that are looked at of those by which one server claims to have signed one thing.
MAX_KEY_IDS: Final = 5
#: A server is asked again for a key that it did not have after this, and once it failed, after pauses that grow.
PAUSE_MS: Final = 10_000
LONGEST_PAUSE_MS: Final = 600_000
#: A server that did not answer so many times in a row (some twenty minutes) is taken to be gone for good.
GIVEN_UP_AFTER: Final = 8
#: Up to so many events are checked where one is: going to a thread and back takes longer.
INLINE: Final = 16
#: Events that a thread checks before it is given more, so that others get their turn.
CHUNK: Final = 100

_SHARE: Final = 0.02
_KEY_BYTES: Final = 400
#: Servers whose last fetch is remembered.
_MAX_REMEMBERED: Final = 10_000

#: Which key at what time; None: whenever.
Wanted = Mapping[tuple[str, str], int | None]


class _Fetched(NamedTuple):
    """How the last fetch of a server's keys went."""

    at_ms: int
    #: How many failed in a row.
    failures: int

    def pause_ms(self) -> int:
        return min(PAUSE_MS << min(self.failures, 10), LONGEST_PAUSE_MS)


class Keyring:
    def __init__(
        self,
        database: Database,
        fetcher: KeyFetcher,
        own_keys: OwnKeys,
        *,
        now_ms: Callable[[], int],
        budget: Budget,
    ) -> None:
        self._database = database
        self._fetcher = fetcher
        self._own_keys = own_keys
        self._now_ms = now_ms
        self._known: Cache[str, dict[str, KnownKey]] = budget.cache(
            "server keys", _SHARE, lambda keys: _KEY_BYTES * (1 + len(keys))
        )
        self._fetched: dict[str, _Fetched] = {}
        self._fetching: dict[str, asyncio.Task[dict[str, KnownKey] | None]] = {}
        self._threads = ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1), thread_name_prefix="signatures")

    async def close(self) -> None:
        for task in self._fetching.values():
            task.cancel()
        await asyncio.gather(*self._fetching.values(), return_exceptions=True)
        self._threads.shutdown(wait=False, cancel_futures=True)

    # -- keys

    async def lookup(self, wanted: Iterable[tuple[str, str]], *, at_ms: int | None, urgent: bool = False) -> KeyLookup:
        """Has (server, key id) pairs at hand as far as they can be had; what comes back answers without waiting.

        It answers None for a key that can't be had, or that did not count at `at_ms` (None: whenever it was used).
        `urgent`: the server has just been heard from, so it is asked even if it did not answer lately.
        """
        keys = await self._have(dict.fromkeys(wanted, at_ms), urgent=urgent)
        return self._look_up_in(keys, at_ms)

    async def document(self, server_name: str, *, valid_at_ms: int, may_fetch: bool = True) -> Document | None:
        """Another server's own document of keys, if possible one that holds at that time; for a notary's answers."""
        if not is_valid_server_name(server_name):
            return None
        known = await self._database.get(key_store.document_of, server_name)
        if known is not None and known.valid_until_ms >= min(valid_at_ms, self._now_ms() + MAX_LIFETIME_MS):
            return known
        if may_fetch and self._may_fetch(server_name, urgent=False):
            await self._fetch(server_name, valid_at_ms)
            known = await self._database.get(key_store.document_of, server_name)
        return known

    def heard_from(self, server_name: str) -> None:
        """A server that did not answer is there again."""
        last = self._fetched.get(server_name)
        if last is not None and last.failures:
            del self._fetched[server_name]

    # -- signatures

    async def verify_json(self, server_name: str, value: Mapping[str, Any]) -> None:
        """Raises `PeerError` unless the server signed the object with a key that counts now, and nothing wrongly."""
        key_ids = key_ids_of(value, server_name)[:MAX_KEY_IDS]
        keys = await self.lookup([(server_name, key_id) for key_id in key_ids], at_ms=self._now_ms())
        found = [key for key_id in key_ids if (key := keys(server_name, key_id)) is not None]
        if not found:
            raise PeerError(f"there is no signature of {server_name} by a key that counts")
        for key in found:
            verify_json(value, server_name, key, encode=canonical_json.encode)

    async def verify_events(self, events: Sequence[Event]) -> dict[str, PeerError]:
        """Which events lack a good signature of a server that must have signed them, and why; by event id.

        Each server is asked for its keys once; many events are checked in threads, side by side. An error that is not
        `permanent` says nothing against the event: its server's keys can't be had just now.
        """
        failed: dict[str, PeerError] = {}
        wanted: dict[tuple[str, str], int | None] = {}
        checkable: list[Event] = []
        for event in events:
            try:
                signers = required_signers(event)
            except PeerError as error:
                failed[event.event_id] = error
                continue
            checkable.append(event)
            at_ms = _time_of(event)
            for server_name in signers:
                for key_id in key_ids_of(event.pdu, server_name)[:MAX_KEY_IDS]:
                    pair = server_name, key_id
                    wanted[pair] = _later(wanted[pair], at_ms) if pair in wanted else at_ms
        keys = await self._have(wanted, urgent=False)
        if len(checkable) <= INLINE:
            failed.update(self._check(checkable, keys))
            return self._settled(failed, checkable)
        loop = asyncio.get_running_loop()
        chunks = [checkable[start : start + CHUNK] for start in range(0, len(checkable), CHUNK)]
        for found in await asyncio.gather(
            *(loop.run_in_executor(self._threads, self._check, chunk, keys) for chunk in chunks)
        ):
            failed.update(found)
        return self._settled(failed, checkable)

    def _settled(self, failed: dict[str, PeerError], events: Sequence[Event]) -> dict[str, PeerError]:
        """Makes those errors permanent of which waiting will not get us any further."""
        for event in events:
            error = failed.get(event.event_id)
            if (
                error is not None
                and not error.permanent
                and not any(map(self._may_answer_yet, required_signers(event)))
            ):
                error.permanent = True
        return failed

    def _may_answer_yet(self, server_name: str) -> bool:
        """Whether a server was asked for its keys in vain, but not yet for so long that it counts as gone."""
        last = self._fetched.get(server_name)
        return last is not None and 0 < last.failures < GIVEN_UP_AFTER

    def _check(self, events: Sequence[Event], keys: Mapping[str, Mapping[str, KnownKey]]) -> dict[str, PeerError]:
        """Also called in threads: reads `keys` and nothing else that changes."""
        failed: dict[str, PeerError] = {}
        for event in events:
            try:
                verify(event, self._look_up_in(keys, _time_of(event)))
            except PeerError as error:
                failed[event.event_id] = error
        return failed

    def _look_up_in(self, keys: Mapping[str, Mapping[str, KnownKey]], at_ms: int | None) -> KeyLookup:
        def look_up(server_name: str, key_id: str) -> VerifyKey | None:
            if server_name in self._own_keys:
                return self._own_keys.find(server_name, key_id, at_ms)
            known = keys.get(server_name, {}).get(key_id)
            return known.key if known is not None and known.counts_at(at_ms) else None

        return look_up

    # -- having them

    async def _have(self, wanted: Wanted, *, urgent: bool) -> dict[str, dict[str, KnownKey]]:
        """What is known of the wanted keys' servers, after fetching what is missing."""
        by_server: dict[str, dict[str, int | None]] = {}
        for (server_name, key_id), at_ms in wanted.items():
            if server_name not in self._own_keys and is_valid_server_name(server_name):
                by_server.setdefault(server_name, {})[key_id] = at_ms
        found: dict[str, dict[str, KnownKey]] = {}
        missing: list[str] = []
        for server_name, needs in by_server.items():
            known = self._known.get(server_name)
            if known is not None and _satisfies(known, needs):
                found[server_name] = known
            else:
                missing.append(server_name)
        if missing:
            keys = await asyncio.gather(*(self._get(name, by_server[name], urgent=urgent) for name in missing))
            found.update(zip(missing, keys, strict=True))
        return found

    async def _get(self, server_name: str, needs: Mapping[str, int | None], *, urgent: bool) -> dict[str, KnownKey]:
        """One server's keys: what another process may have written, else what somebody answers."""
        known = await self._database.get(key_store.keys_of, server_name)
        fetched = self._known.get(server_name)
        if fetched is not None and _satisfies(fetched, needs):
            # They came while the database was asked.
            return fetched
        if known:
            self._known.put(server_name, known)
        if _satisfies(known, needs) or not self._may_fetch(server_name, urgent=urgent):
            return known
        until = max((at_ms for at_ms in needs.values() if at_ms is not None), default=self._now_ms())
        return await self._fetch(server_name, until) or known

    def _may_fetch(self, server_name: str, *, urgent: bool) -> bool:
        """Whether a server may be asked now; those who ask while it is being asked wait with the others."""
        last = self._fetched.get(server_name)
        if last is None or server_name in self._fetching:
            return True
        pause = PAUSE_MS if urgent else last.pause_ms()
        return self._now_ms() >= last.at_ms + pause

    async def _fetch(self, server_name: str, valid_at_ms: int) -> dict[str, KnownKey] | None:
        """All that is known of a server's keys after asking for them; None if that led to nothing."""
        task = self._fetching.get(server_name)
        if task is None:
            task = self._fetching[server_name] = asyncio.create_task(self._fetch_once(server_name, valid_at_ms))
            task.add_done_callback(lambda done: self._fetch_ended(server_name, done))
        return await asyncio.shield(task)

    def _fetch_ended(self, server_name: str, done: asyncio.Task[Any]) -> None:
        del self._fetching[server_name]
        if not done.cancelled() and done.exception() is not None:
            log.error("fetching a server's keys failed", server=server_name, exc_info=done.exception())

    async def _fetch_once(self, server_name: str, valid_at_ms: int) -> dict[str, KnownKey] | None:
        try:
            document = await self._fetcher.fetch(
                server_name,
                minimum_valid_until_ms=min(valid_at_ms, self._now_ms() + MAX_LIFETIME_MS),
                verify=self.verify_json,
            )
        except (PeerError, Unreachable, NotNow) as error:
            before = self._fetched.get(server_name)
            self._remember(server_name, _Fetched(self._now_ms(), 1 + (before.failures if before else 0)))
            log.info("the keys of a server can't be had", server=server_name, error=str(error))
            return None
        self._remember(server_name, _Fetched(self._now_ms(), 0))
        return await self._keep(document)

    def _remember(self, server_name: str, fetched: _Fetched) -> None:
        self._fetched.pop(server_name, None)
        self._fetched[server_name] = fetched
        if len(self._fetched) > _MAX_REMEMBERED:
            del self._fetched[next(iter(self._fetched))]

    async def _keep(self, document: ServerKeys) -> dict[str, KnownKey]:
        now_ms = self._now_ms()
        until = min(document.valid_until_ms, now_ms + MAX_LIFETIME_MS)
        keys = [KnownKey(key, until) for key in document.keys.values()]
        keys += [KnownKey(old.key, min(old.expired_ms, until), old.expired_ms) for old in document.old_keys.values()]
        written = Document(canonical_json.encode_checked(document.value), until, now_ms)
        await self._database.write(key_store.put, document.server_name, keys, written)
        known = await self._database.get(key_store.keys_of, document.server_name)
        self._known.put(document.server_name, known)
        return known


def _time_of(event: Event) -> int | None:
    """When a key must have counted; None in room versions that don't ask."""
    return event.origin_server_ts if event.version.enforce_key_validity else None


def _later(one: int | None, other: int | None) -> int | None:
    """The time that is harder to satisfy."""
    if one is None or other is None:
        return other if one is None else one
    return max(one, other)


def _satisfies(known: Mapping[str, KnownKey], needs: Mapping[str, int | None]) -> bool:
    """Whether asking again can't help: every key is known, and counts, or has ended for good."""
    for key_id, at_ms in needs.items():
        key = known.get(key_id)
        if key is None or not (key.counts_at(at_ms) or key.expired_ms is not None):
            return False
    return True

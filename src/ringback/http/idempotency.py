"""Idempotency-Key: a POST of the native API that is sent again, by a client that saw no answer, does nothing twice.

(The header field as draft-ietf-httpapi-idempotency-key-header describes it.) Key and answer are kept for a day, written
in the same unit of work as what the request does. Not for endpoints whose answer holds a secret: it would be kept.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import msgspec
from litestar import Request

from ringback.clock import Clock
from ringback.errors import Conflict, IdempotencyKeyReused, invalid_field
from ringback.http.guards import principal_of
from ringback.store import Command, Query, Tx, columns

T = TypeVar("T", bound=msgspec.Struct)

HEADER = "Idempotency-Key"
KEPT_MS = 86_400_000
_LONGEST_KEY = 255
_encode = msgspec.json.Encoder().encode


class _Answered(msgspec.Struct, frozen=True):
    request_digest: bytes
    answer: str


answer_to_key = Query(
    "answer_to_key",
    "What a request with this key was answered.",
    f"SELECT {columns(_Answered)} FROM idempotency_keys WHERE id = $1",  # noqa: S608 - our own columns
    row=_Answered,
)
claim_key = Query(
    "claim_key",
    "Takes a key for this unit; a unit that brings the same key waits on PostgreSQL until this one has ended.",
    "INSERT INTO idempotency_keys (id, request_digest, answer, created_at) VALUES ($1, $2, '', $3)"
    " ON CONFLICT DO NOTHING RETURNING id",
    writes=True,
)
keep_answer = Command(
    "keep_answer",
    "The answer of the unit that took the key.",
    "UPDATE idempotency_keys SET answer = $2 WHERE id = $1",
    expect_one=True,
)
purge_answers = Query(
    "purge_answers",
    "Forgets answers that are older than a day.",
    "DELETE FROM idempotency_keys WHERE id IN"
    " (SELECT id FROM idempotency_keys WHERE created_at < $1 ORDER BY created_at LIMIT $2) RETURNING id",
    writes=True,
)


class IdempotencyKeys:
    """Answers a request that comes again with what it was answered the first time."""

    def __init__(self, *, clock: Clock) -> None:
        self._clock = clock

    async def once(
        self,
        tx: Tx,
        request: Request[Any, Any, Any],
        body: bytes,
        shape: type[T],
        unit: Callable[..., Awaitable[T]],
        *args: Any,
    ) -> T:
        """A unit of work: `unit(tx, *args)`, or its answer of the first time. `shape`: the Struct that it returns.

        Keys belong to the principal. Raises IdempotencyKeyReused when the key came with another request.
        """
        key = request.headers.get(HEADER)
        if not key:
            return await unit(tx, *args)
        if len(key) > _LONGEST_KEY:
            raise invalid_field(HEADER, f"At most {_LONGEST_KEY} characters.")
        row_id = hashlib.sha256(f"{principal_of(request).name}\0{key}".encode()).hexdigest()
        digest = hashlib.sha256(f"{request.method} {request.scope['path']}\0".encode() + body).digest()
        answered = await tx.one(answer_to_key, row_id)
        if answered is not None:
            if answered.request_digest != digest:
                raise IdempotencyKeyReused
            return msgspec.json.decode(answered.answer, type=shape)
        if await tx.one(claim_key, row_id, digest, self._clock.now_ms()) is None:
            raise Conflict  # the same request was faster: run again, and find its answer
        result = await unit(tx, *args)
        await tx.run(keep_answer, row_id, _encode(result).decode())
        return result

    async def purge(self, tx: Tx, limit: int) -> int:
        """A unit of work: forgets up to `limit` keys of yesterday; returns how many."""
        return len(await tx.all(purge_answers, self._clock.now_ms() - KEPT_MS, limit))

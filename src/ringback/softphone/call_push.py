"""What a push about a call says, in whichever envelope it came: the local stream's, Apple's or Google's."""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import msgspec

from ringback.protocols import jwe
from ringback.protocols.cucm_push import INCOMING_CALL, CallPush, CallPushMalformed, read_call_push
from ringback.softphone.errors import CallPushUnreadable

if TYPE_CHECKING:
    from ringback.softphone.push_stream import PushStream

_encode = msgspec.json.Encoder().encode


def read_push(payload: dict[str, Any], key: bytes | None = None) -> CallPush | None:
    """The call in a push, decrypted where it is encrypted; None for a push about something else.

    payload: what the `local` stream hands out, the payload of APNs, or a request to FCM. key: the 32 bytes that the
    app registered with its push token. Raises CallPushUnreadable for an encrypted push without the right key, and for
    a call whose members are not those of version V2.
    """
    message = payload.get("message")
    google = message.get("data") if isinstance(message, dict) else None
    members: dict[str, Any] = google if isinstance(google, dict) else payload
    sealed = members.get("body" if members is google else "data")
    if isinstance(sealed, str) and sealed.count(".") == 4:  # noqa: PLR2004 - the five parts of a JWE
        members = _opened(sealed, key)
    elif isinstance(members.get("call"), dict):
        members = members["call"]
    if not isinstance(members.get("type"), str) or "payloadversion" not in members or "displayname" not in members:
        return None
    try:
        return read_call_push(_encode(members))
    except CallPushMalformed as error:
        raise CallPushUnreadable(str(error), cause=error) from error


def is_incoming(push: CallPush) -> bool:
    """Whether somebody calls; else the call is over."""
    return push.type == INCOMING_CALL


def _opened(sealed: str, key: bytes | None) -> dict[str, Any]:
    if key is None:
        raise CallPushUnreadable
    try:
        opened = msgspec.json.decode(jwe.decrypt(sealed, key), type=dict[str, Any])
    except (jwe.JweRefused, jwe.JweKeyInvalid, msgspec.DecodeError) as error:
        raise CallPushUnreadable(cause=error) from error
    return opened


class CallPushStream:
    """Pushes about calls, read all the time: a phone that waits for a call has to hear that it is over.

    Iterates over them in order. Raises what the stream raises, and CallPushUnreadable.
    """

    def __init__(self, stream: PushStream, key: bytes | None = None) -> None:
        self._stream = stream
        self._key = key
        self._came: asyncio.Queue[CallPush | Exception] = asyncio.Queue()
        self._over: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)

    def over(self, push_id: str) -> asyncio.Event:
        """Is set when a push says that the call of this one is over."""
        return self._over[push_id]

    def forget(self, push_id: str) -> None:
        """Nobody waits for that any more."""
        self._over.pop(push_id, None)

    @contextlib.asynccontextmanager
    async def reading(self) -> AsyncIterator[CallPushStream]:
        """Reads meanwhile."""
        task = asyncio.create_task(self._read())
        try:
            yield self
        finally:
            task.cancel()
            await asyncio.wait([task])

    def __aiter__(self) -> CallPushStream:
        return self

    async def __anext__(self) -> CallPush:
        push = await self._came.get()
        if isinstance(push, Exception):
            raise push
        if not is_incoming(push):
            self.forget(push.pushid)
        return push

    async def _read(self) -> None:
        try:
            async for one in self._stream:
                push = read_push(one.content, self._key)
                if push is not None:
                    if not is_incoming(push):
                        self._over[push.pushid].set()
                    self._came.put_nowait(push)
        except Exception as error:  # noqa: BLE001 - whoever iterates is to see it
            self._came.put_nowait(error)

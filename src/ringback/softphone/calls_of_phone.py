"""What a phone asks about calls over HTTP: which SIP call a push is about."""

from __future__ import annotations

from abc import ABC, abstractmethod
from http import HTTPStatus
from typing import TypeVar
from urllib.parse import quote

import msgspec

from ringback.protocols.powerauth.headers import TOKEN_HEADER
from ringback.softphone.errors import CallUnknown, RefusedByServer
from ringback.softphone.wire import PhoneRequest

T = TypeVar("T")
_BY_NOTIFICATION = "/api/v1/calls/by-notification"


class _CallOfPush(msgspec.Struct, frozen=True, rename="camel"):
    call_id: str


class CallsOfPhone(ABC):
    """The part of `Phone` that is about calls."""

    @abstractmethod
    async def _send(self, request: PhoneRequest, shape: type[T]) -> T: ...

    @abstractmethod
    async def token_header(self) -> str:
        """An X-PowerAuth-Token header."""

    async def call_id_of(self, push_id: str) -> str:
        """The Call-ID of the SIP call that a push is about, by which its INVITE is known. Raises CallUnknown."""
        path = f"{_BY_NOTIFICATION}/{quote(push_id, safe='')}"
        proof = {TOKEN_HEADER: await self.token_header()}
        request = PhoneRequest(path, b"", proof, "mac token", method="GET", at_root=True)
        try:
            return (await self._send(request, _CallOfPush)).call_id
        except RefusedByServer as error:
            if error.http_status == HTTPStatus.NOT_FOUND:
                raise CallUnknown(cause=error) from error
            raise

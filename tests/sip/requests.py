"""Requests for an endpoint to send, and answers to what it sent."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from ringback.protocols.sip.header_fields import Headers
from ringback.protocols.sip.message import Request, response_to

T = TypeVar("T")


def request_of(method: str, *more: tuple[str, str], uri: str = "sip:bob@example.org", call_id: str = "ours") -> Request:
    """A request of ours, outside of dialogs."""
    fields = [
        ("From", "<sip:alice@example.org>;tag=ours"),
        ("To", "<sip:bob@example.org>"),
        ("Call-ID", call_id),
        ("CSeq", f"1 {method}"),
        *more,
    ]
    return Request(method, uri, Headers(fields))


def answer_to(
    request: Request, status: int, *headers: tuple[str, str], tag: str = "theirs", body: bytes = b""
) -> bytes:
    """The bytes of an answer."""
    return response_to(request, status, to_tag=tag, headers=headers, body=body).encode()


def spawn(work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    """Does it meanwhile."""
    return asyncio.get_running_loop().create_task(work)

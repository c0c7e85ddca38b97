"""Just enough HTTP/1.1 for a load generator: requests as bytes, and where an answer ends. No I/O."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec


class Answer(msgspec.Struct, frozen=True):
    """What came back: HTTP status and body."""

    status: int
    body: bytes


class AnswerNotUnderstood(Exception):
    """The server's answer is not HTTP/1.1 with a Content-Length or chunks."""


def http_request(
    method: str, path: str, *, host: str, headers: Mapping[str, str] | None = None, body: bytes = b""
) -> bytes:
    """The bytes of one HTTP/1.1 request on a connection that stays open."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    if body or method in {"POST", "PUT", "PATCH"}:
        lines.append(f"Content-Length: {len(body)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body


def whole_answer(buffer: bytes) -> tuple[Answer, int] | None:
    """The first answer in the buffer and how many bytes it takes; None while it is not whole yet.

    Raises AnswerNotUnderstood.
    """
    end = buffer.find(b"\r\n\r\n")
    if end < 0:
        return None
    head = buffer[:end].lower()
    if not head.startswith(b"http/1.") or not head[9:12].isdigit():
        raise AnswerNotUnderstood
    status = int(head[9:12])
    start = end + 4
    at = head.find(b"\r\ncontent-length:")
    if at >= 0:
        line_end = head.find(b"\r\n", at + 2)
        length = int(head[at + 17 : line_end if line_end >= 0 else len(head)])
        if len(buffer) < start + length:
            return None
        return Answer(status, buffer[start : start + length]), start + length
    if status in {204, 304}:
        return Answer(status, b""), start
    if b"\r\ntransfer-encoding: chunked" in head:
        return _chunks(status, buffer, start)
    raise AnswerNotUnderstood


def _chunks(status: int, buffer: bytes, at: int) -> tuple[Answer, int] | None:
    pieces: list[bytes] = []
    while True:
        line_end = buffer.find(b"\r\n", at)
        if line_end < 0:
            return None
        try:
            size = int(buffer[at:line_end].partition(b";")[0], 16)
        except ValueError as error:
            raise AnswerNotUnderstood from error
        next_at = line_end + 2 + size + 2
        if len(buffer) < next_at:
            return None
        if size == 0:
            return Answer(status, b"".join(pieces)), next_at
        pieces.append(buffer[line_end + 2 : line_end + 2 + size])
        at = next_at

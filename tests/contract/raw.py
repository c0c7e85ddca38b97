"""HTTP/1.1 by hand, for requests that no client library would send."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

SECONDS = 60


@dataclass(frozen=True)
class RawAnswer:
    """What came back; status 0 when the server only closed the connection."""

    status: int
    headers: dict[str, str]
    content: bytes

    @property
    def json(self) -> Any:
        """The decoded body."""
        return json.loads(self.content)


def request_bytes(method: str, target: str, headers: dict[str, str], body: bytes = b"") -> bytes:
    """A request; nothing is added but Host and, for a body without a length of its own, Content-Length."""
    named = {name.lower() for name in headers}
    fields = dict(headers)
    if "host" not in named:
        fields = {"Host": "127.0.0.1", **fields}
    if body and not named & {"content-length", "transfer-encoding"}:
        fields["Content-Length"] = str(len(body))
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items()), "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


def chunked(*pieces: bytes) -> bytes:
    """A body in chunks, with the end."""
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


async def send(base: str, request: bytes, *, close_after: bool = False) -> RawAnswer:
    """Sends the bytes on a new connection and reads one answer. `close_after`: no more bytes will come."""
    address = urlsplit(base)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    try:
        writer.write(request)
        if close_after:
            writer.write_eof()
        async with asyncio.timeout(SECONDS):
            return await _read(reader, with_body=not request.startswith(b"HEAD "))
    except ConnectionError:
        return RawAnswer(0, {}, b"")
    finally:
        writer.close()


async def _read(reader: asyncio.StreamReader, *, with_body: bool) -> RawAnswer:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return RawAnswer(0, {}, b"")
    status_line, *lines = head.decode("latin-1").strip().split("\r\n")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    length = int(headers.get("content-length", "0")) if with_body else 0
    content = await reader.readexactly(length) if length else b""
    if with_body and headers.get("transfer-encoding") == "chunked":
        while size := int(await reader.readline(), 16):
            content += await reader.readexactly(size)
            await reader.readline()
    return RawAnswer(int(status_line.split(" ")[1]), headers, content)

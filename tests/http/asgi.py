"""One ASGI request without a socket, so that a test chooses where it comes from."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

LOOPBACK = "127.0.0.1"
STRANGER = "192.0.2.1"


@dataclass(frozen=True)
class AsgiAnswer:
    """Status, header fields (names in lower case) and body."""

    status: int
    headers: dict[str, str]
    content: bytes

    @property
    def json(self) -> Any:
        """The decoded body."""
        return json.loads(self.content)

    @property
    def message(self) -> str:
        """The sentence for people, whichever API answered."""
        shown = self.json
        return str(shown["responseObject"]["message"] if "responseObject" in shown else shown["detail"])


async def ask(
    app: Any,
    path: str,
    *,
    method: str = "GET",
    headers: dict[str, str] | None = None,
    more_headers: tuple[tuple[str, str], ...] = (),
    body: bytes = b"",
    peer: str | None = LOOPBACK,
    scheme: str = "http",
) -> AsgiAnswer:
    """Sends a request from `peer` to an ASGI application. `more_headers`: such as repeat a name."""
    plain_path, _, query = path.partition("?")
    fields = {"Host": LOOPBACK, **(headers or {})}
    if body:
        fields["Content-Length"] = str(len(body))
    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": scheme,
        "path": plain_path,
        "raw_path": plain_path.encode(),
        "root_path": "",
        "query_string": query.encode(),
        "headers": [(n.lower().encode(), v.encode("latin-1")) for n, v in (*fields.items(), *more_headers)],
        "client": (peer, 40_000) if peer else None,
        "server": (LOOPBACK, 8081),
        "state": {},
        "extensions": {},
    }
    sent: list[dict[str, Any]] = []
    incoming = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> dict[str, Any]:
        return incoming.pop() if incoming else {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app(scope, receive, send)
    start = sent[0]
    found = {name.decode().lower(): value.decode("latin-1") for name, value in start["headers"]}
    return AsgiAnswer(start["status"], found, b"".join(one.get("body", b"") for one in sent[1:]))

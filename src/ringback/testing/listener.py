"""Where a double listens: TLS with ALPN, HTTP/2 and, if it wants, HTTP/1.1 on the same port."""

from __future__ import annotations

import asyncio
import ssl
from typing import cast

from ringback.errors import StartRefused
from ringback.testing.certificates import CertificateFiles
from ringback.testing.exchange import Application, Connection
from ringback.testing.http1 import Http1Connection
from ringback.testing.http2 import Http2Connection


class Listener:
    """A port on one address. After `start` the port is known and stays the same over `close` and `start`."""

    def __init__(
        self, application: Application, certificate: CertificateFiles, *, host: str, port: int, alpn: tuple[str, ...]
    ) -> None:
        self.host = host
        self.port = port
        self.connections: dict[int, Connection] = {}
        self.handshakes = 0
        """Connections that finished their TLS handshake, so far."""
        self._application = application
        self._speaks_http1 = "http/1.1" in alpn
        self._server: asyncio.Server | None = None
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.minimum_version = ssl.TLSVersion.TLSv1_2
        self._tls.load_cert_chain(certificate.certificate, certificate.key)
        self._tls.load_verify_locations(certificate.authority)
        self._tls.set_alpn_protocols(list(alpn))

    def ask_for_certificates(self) -> None:
        """Clients may show a certificate of the authority; without one they are let in all the same."""
        self._tls.verify_mode = ssl.CERT_OPTIONAL

    async def start(self) -> None:
        """Listens. StartRefused: the port is taken."""
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(lambda: _Accepted(self), self.host, self.port, ssl=self._tls)
        except OSError as error:
            raise StartRefused(f"{self.host}:{self.port} cannot be listened on: {error.strerror}.") from error
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Stops listening and cuts every connection."""
        if self._server is None:
            return
        self._server.close()
        for connection in list(self.connections.values()):
            connection.abort()
        await self._server.wait_closed()
        self._server = None

    def accepted(self, transport: asyncio.Transport) -> Http1Connection | Http2Connection:
        """Chooses the protocol that the handshake agreed upon.

        Without ALPN: HTTP/1.1 where it is spoken, else HTTP/2, which clients of APNs know beforehand (RFC 9113 §3.3).
        """
        self.handshakes += 1
        tls = transport.get_extra_info("ssl_object")
        use_http1 = self._speaks_http1 and tls.selected_alpn_protocol() != "h2"
        kind = Http1Connection if use_http1 else Http2Connection
        connection = kind(self.handshakes, transport, self._application, tls.getpeercert(binary_form=True))
        self.connections[connection.number] = connection
        return connection


class _Accepted(asyncio.Protocol):
    """What asyncio knows of a connection."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._connection: Http1Connection | Http2Connection | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._connection = self._listener.accepted(cast("asyncio.Transport", transport))

    def data_received(self, data: bytes) -> None:
        if self._connection is not None:
            self._connection.data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - of no interest why
        if self._connection is not None:
            self._listener.connections.pop(self._connection.number, None)
            self._connection.lost()

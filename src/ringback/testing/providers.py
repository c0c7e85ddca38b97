"""All doubles together, with the files and the settings that a server needs to talk to them."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from ipaddress import ip_network
from pathlib import Path
from typing import Self

from ringback.clock import Clock
from ringback.testing.apns import ApnsDouble
from ringback.testing.apns_key import ApnsKey
from ringback.testing.certificates import Authority, CertificateFiles
from ringback.testing.double import Double
from ringback.testing.fcm import FcmDouble
from ringback.testing.record import Received
from ringback.testing.web_push import WebPushDouble

BUNDLE_ID = "com.example.app"


class Providers:
    """APNs for production and for the sandbox, FCM, and a Web Push service. Port 0 = one that is free.

    A folder that was used before keeps its authority, its key and its service account: an app that was given these
    credentials can go on using them.
    """

    def __init__(
        self,
        folder: Path,
        *,
        host: str = "127.0.0.1",
        apns_port: int = 0,
        apns_sandbox_port: int = 0,
        fcm_port: int = 0,
        web_push_port: int = 0,
        bundle_id: str = BUNDLE_ID,
        clock: Clock | None = None,
    ) -> None:
        self.folder = folder
        self.bundle_id = bundle_id
        self.authority = Authority(folder)
        self.key = ApnsKey(folder)
        self.certificate: CertificateFiles = self.authority.client(bundle_id, file="apns-certificate")
        # For hours, and for one program after the other: the JWT of the one before must not lock the next one out.
        apns = functools.partial(
            ApnsDouble,
            folder,
            keys=[self.key],
            authority=self.authority,
            host=host,
            clock=clock,
            update_rule_for_all=False,
        )
        self.apns = apns(port=apns_port)
        self.apns_sandbox = apns(sandbox=True, port=apns_sandbox_port)
        self.fcm = FcmDouble(folder, authority=self.authority, host=host, port=fcm_port, clock=clock)
        self.web_push = WebPushDouble(folder, authority=self.authority, host=host, port=web_push_port, clock=clock)

    @property
    def doubles(self) -> tuple[Double, ...]:
        """All of them."""
        return (self.apns, self.apns_sandbox, self.fcm, self.web_push)

    @property
    def settings(self) -> dict[str, str]:
        """The variables that make a server talk to the doubles; the last one lets Web Push out to this machine."""
        return {
            "RINGBACK_APNS_URL": self.apns.url,
            "RINGBACK_APNS_SANDBOX_URL": self.apns_sandbox.url,
            "RINGBACK_FCM_URL": self.fcm.url,
            "RINGBACK_FCM_TOKEN_URL": self.fcm.token_url,
            "RINGBACK_PUSH_CA_FILE": str(self.authority.file.absolute()),
            "RINGBACK_EGRESS_ALLOW": str(ip_network(self.web_push.host)),
        }

    def on_outcome(self, listener: Callable[[Received], None]) -> None:
        """Is called once for each push, when it was answered or when it is known that it will not be."""
        for double in self.doubles:
            double.on_outcome(listener)

    async def start(self) -> None:
        """Starts all, or none. StartRefused: a port is taken."""
        async with contextlib.AsyncExitStack() as stack:
            for double in self.doubles:
                await double.start()
                stack.push_async_callback(double.close)
            stack.pop_all()

    async def close(self) -> None:
        """Stops all."""
        for double in self.doubles:
            await double.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

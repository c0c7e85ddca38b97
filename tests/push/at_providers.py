"""What the tests of the providers share: doubles, credentials for them, and pushes."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from ringback.clock import ManualClock, SystemRandomness, new_id
from ringback.http2 import Backend, PoolLimits
from ringback.push.apns import ApnsProvider
from ringback.push.content import CallContent, Content
from ringback.push.credentials import (
    ApnsCertificate,
    ApnsTokenKey,
    Credential,
    CredentialKind,
    FcmServiceAccount,
    Form,
    Health,
    StoredCredential,
    kind_of,
)
from ringback.push.fcm import FcmProvider
from ringback.push.model import OutgoingPush
from ringback.push.pools import Connections, PoolSettings
from ringback.push.provider_tokens import ProviderTokens
from ringback.push.reactions import Verdict
from ringback.secrets import Vault
from ringback.store import Store
from ringback.testing import ApnsDouble, ApnsKey, CertificateFiles, FcmDouble

BUNDLE = "com.example.bank"
PHONE = "ab" * 32
RANDOMNESS = SystemRandomness()
FORMS: dict[type, Form] = {
    ApnsTokenKey: "tokenKey",
    ApnsCertificate: "certificate",
    FcmServiceAccount: "serviceAccount",
}


def now() -> ManualClock:
    """A clock that stands where the machine's does: certificates are looked at by TLS, which has no other."""
    return ManualClock(int(time.time()) * 1000)


class Source:
    """Credentials of apps; remembers what was reported, and follows the rules of the real one."""

    def __init__(self, *credentials: Credential, app_id: str = "bank") -> None:
        self.reports: list[tuple[Health, str]] = []
        self._stored: dict[tuple[str, str], StoredCredential] = {}
        self._made = 0
        for credential in credentials:
            self.put(credential, app_id=app_id)

    def put(self, credential: Credential, *, app_id: str = "bank", not_after: int | None = None) -> None:
        """In the place of the one before."""
        self._made += 1
        kind = kind_of(credential)
        self._stored[app_id, kind] = StoredCredential(
            id=f"credential-{self._made}",
            app_id=app_id,
            kind=kind,
            form=FORMS[type(credential)],
            version=self._made * 100,
            status="OK",
            status_reason=None,
            not_after=not_after,
            credential=credential,
        )

    def clear(self) -> None:
        """No app has any."""
        self._stored.clear()

    def status(self, kind: CredentialKind = "apns") -> Health:
        """That of the app `bank`."""
        return self._stored["bank", kind].status

    async def load(self, app_id: str, kind: CredentialKind) -> StoredCredential | None:
        return self._stored.get((app_id, kind))

    async def report(self, credential: StoredCredential, status: Health, reason: str) -> None:
        current = self._stored.get((credential.app_id, credential.kind))
        if current is None or (current.id, current.version) != (credential.id, credential.version):
            return
        self.reports.append((status, reason))
        self._stored[credential.app_id, credential.kind] = msgspec.structs.replace(
            current, status=status, status_reason=reason, version=current.version + 1
        )


def token_key(key: ApnsKey, **changes: Any) -> ApnsTokenKey:
    """The credential of a key of the double."""
    fields: dict[str, Any] = {
        "key_id": key.key_id,
        "team_id": key.team_id,
        "bundle_id": BUNDLE,
        "private_key": key.file.read_text(),
        **changes,
    }
    return ApnsTokenKey(**fields)


def certificate(files: CertificateFiles, **changes: Any) -> ApnsCertificate:
    """The credential of a client certificate of the double's authority."""
    fields: dict[str, Any] = {
        "certificate_pem": files.certificate.read_text(),
        "private_key_pem": files.key.read_text(),
        "topics": (BUNDLE, f"{BUNDLE}.voip"),
        "bundle_id": BUNDLE,
        "not_after": 0,
        **changes,
    }
    return ApnsCertificate(**fields)


def service_account(double: FcmDouble, **changes: Any) -> FcmServiceAccount:
    """The credential of the double's service account."""
    document = double.account.document
    names = ("project_id", "client_email", "private_key_id", "private_key")
    return FcmServiceAccount(**{name: str(document[name]) for name in names} | changes)


def tokens(store: Store, clock: ManualClock, seed: bytes = b"k" * 32) -> ProviderTokens:
    """A process's provider tokens; processes with the same store and seed are of one installation."""
    return ProviderTokens(store=store, vault=Vault(seed, seed, RANDOMNESS), clock=clock, randomness=RANDOMNESS)


def settings(trusted: Path, **changes: Any) -> PoolSettings:
    """More patience than any answer takes, however busy the machine is."""
    fields: dict[str, Any] = {
        "ca_file": str(trusted),
        "limits": PoolLimits(most_connections=2, connect_seconds=60, dead_after_seconds=60, drain_seconds=0.2),
        "request_seconds": 60,
        **changes,
    }
    return PoolSettings(**fields)


@contextlib.asynccontextmanager
async def apns_at(
    double: ApnsDouble,
    source: Source,
    store: Store,
    *,
    sandbox: ApnsDouble | None = None,
    backend: Backend = "ngh2",
    shared: ProviderTokens | None = None,
    clock: ManualClock | None = None,
    **changes: Any,
) -> AsyncIterator[ApnsProvider]:
    """A provider that sends to the doubles."""
    used = clock or now()
    own = shared or tokens(store, used)
    provider = ApnsProvider(
        urls={"production": double.url, "development": (sandbox or double).url},
        credentials=source,
        tokens=own,
        clock=used,
        randomness=RANDOMNESS,
        settings=settings(double.ca_file, backend=backend, **changes),
    )
    yield provider
    await provider.close()
    await own.close()


@contextlib.asynccontextmanager
async def fcm_at(
    double: FcmDouble, source: Source, store: Store, *, clock: ManualClock | None = None, **changes: Any
) -> AsyncIterator[FcmProvider]:
    """A provider that sends to the double."""
    used = clock or now()
    own = tokens(store, used)
    provider = FcmProvider(
        url=double.url,
        token_url=changes.pop("token_url", double.token_url),
        credentials=source,
        tokens=changes.pop("shared", own),
        clock=used,
        randomness=RANDOMNESS,
        settings=settings(double.ca_file, **changes),
    )
    yield provider
    await provider.close()
    await own.close()


@contextlib.contextmanager
def in_a_hurry(*ways: Connections) -> Iterator[None]:
    """Meanwhile an answer has half a second. The connections are there already: none has to be made in that time."""
    for way in ways:
        way._request_seconds = 0.5
    yield
    for way in ways:
        way._request_seconds = 60


def push_to(
    push_token: str = PHONE, *, kind: str = "apns", content: Content | None = None, **more: Any
) -> OutgoingPush:
    """A push of the app `bank` that says hello, unless `content` says something else."""
    push_id = new_id(now(), RANDOMNESS)
    said = content or Content(push_id=push_id, title="Hello", body="World")
    fields: dict[str, Any] = {"app_id": "bank", "user_id": "alice", **more}
    return OutgoingPush(
        id=push_id, kind=kind, push_token=push_token, content=msgspec.structs.replace(said, push_id=push_id), **fields
    )


def call(**more: Any) -> Content:
    """Somebody calls."""
    return Content(push_id="", purpose="call", call=CallContent(display_name="Bob", display_number="1234", **more))


async def until(condition: Callable[[], bool]) -> None:
    """Waits for something that nobody tells of."""
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def until_delivered(provider: ApnsProvider | FcmProvider) -> None:
    """Sends pushes until one arrives."""
    async with asyncio.timeout(60):
        while (await provider.send(push_to())).verdict is not Verdict.DELIVERED:  # noqa: ASYNC110
            await asyncio.sleep(0.05)

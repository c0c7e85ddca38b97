"""The native API: what proves a subscriber, for a SIP proxy that checks digests itself (role sip-proxy)."""

from __future__ import annotations

from typing import Annotated, Literal

from litestar.params import FromPath, QueryParameter

from ringback.directory.schema_sip import SipCredential
from ringback.directory.sip_credentials import SipCredentials
from ringback.errors import SipCredentialNotFound
from ringback.http import Routes, native
from ringback.store import Store

Realm = Annotated[str, QueryParameter(name="realm", max_length=255)]
Algorithm = Annotated[Literal["MD5", "SHA-256"] | None, QueryParameter(name="algorithm")]


def routes(store: Store, credentials: SipCredentials) -> Routes:
    """The handler. Nothing of its answers is cached here; a proxy may keep one for as long as a change may wait."""

    @native.get(
        "/sip/credentials/{domain:str}/{username:str}",
        tag="Subscribers",
        operation_id="getSipCredential",
        summary="The HA1 of a subscriber for a realm; 404 for unknown and for disabled ones alike.",
        role="sip-proxy",
    )
    async def get_credential(
        domain: FromPath[str], username: FromPath[str], realm: Realm = "", algorithm: Algorithm = None
    ) -> SipCredential:
        asked = (username, domain, realm or credentials.realm_of(domain))
        found = await store.read(credentials.of, *asked)
        if found is None or found.disabled or (algorithm is not None and algorithm not in found.ha1):
            raise SipCredentialNotFound
        md5, sha256 = found.ha1.get("MD5"), found.ha1.get("SHA-256")
        return SipCredential(found.username, found.domain, found.realm, found.user_id, md5, sha256)

    return Routes(internal=[get_credential])

"""What a Contact says of its push service, held against the push credentials of the domain's apps (RFC 8599 §4.1, §8).

Only what matches a credential counts: who could name any app would have Ringback push for a stranger.

`pn-provider=apns`: pn-param `TEAM.BUNDLE[.voip]`, pn-prid the device token. Several of one phone, as Linphone writes
them: `TEAM.BUNDLE.voip&remote` with `TOKEN:voip&TOKEN:remote`. `fcm`: pn-param the project id, pn-prid the registration
token. `webpush`: pn-prid the endpoint; RFC 8599 leaves out the keys that every push must be encrypted for (RFC 8291),
so pn-param is `P256DH.AUTH`, both in base64url, as `PushSubscription.getKey` gives them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal
from urllib.parse import unquote

import msgspec

from ringback.calls.model_bindings import WantedPush
from ringback.errors import DestinationNotAllowed
from ringback.protocols.push_token_forms import apns_push_token, is_fcm_push_token
from ringback.protocols.web_push import SubscriptionInvalid, parse_subscription
from ringback.push import ApnsCertificate, ApnsTokenKey, FcmServiceAccount, WebPushKeys

if TYPE_CHECKING:
    from ringback.calls.needs_bindings import AppsWithCredential, DomainsKnown, PushCredentialsOfApps, Urls
    from ringback.clock import Clock
    from ringback.protocols.sip.push_parameters import PushParameters
    from ringback.push import Credential, CredentialKind
    from ringback.store import Store, Tx

Provider = Literal["apns", "fcm", "webpush"]
PROVIDERS: tuple[Provider, ...] = ("apns", "fcm", "webpush")
FRESH_MS = 1_500
MOST_APPS = 100
MOST_REMEMBERED = 1_000
LONGEST_PRID = 4_096
_VOIP = "voip"
_REMOTE = "remote"
_APNS_KINDS = {_VOIP: "apns-voip", _REMOTE: "apns"}


class PushServices:
    """Knows them. What an app has, it remembers for a moment."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        domains: DomainsKnown,
        apps: AppsWithCredential,
        credentials: PushCredentialsOfApps,
        urls: Urls,
    ) -> None:
        self._store = store
        self._clock = clock
        self._domains = domains
        self._apps = apps
        self._credentials = credentials
        self._urls = urls
        self._remembered: dict[tuple[str, str], tuple[int, list[str]]] = {}

    async def offered(self, domain: str) -> list[Provider]:
        """The push services that an app of the domain has a credential for. Raises StoreUnavailable."""
        return [provider for provider in PROVIDERS if await self._apps_of(domain, provider)]

    async def matching(self, domain: str, parameters: PushParameters) -> tuple[WantedPush, ...] | None:
        """What the phone can be pushed with, best to ring first; empty without pn-prid: it does not want to be pushed.

        None = nobody here can push there (555). Raises StoreUnavailable.
        """
        provider = _provider(parameters.provider)
        if provider is None:
            return None
        param, prid = _unescaped(parameters.param or ""), _unescaped(parameters.prid or "")
        if param is None or prid is None:
            return None
        for app_id in await self._apps_of(domain, provider):
            stored = await self._credentials.load(app_id, provider)
            if stored is None:
                continue
            kinds = _kinds(stored.credential, param)
            if not kinds:
                continue
            if not prid:
                return ()
            tokens = self._tokens(provider, kinds, prid, param)
            return None if tokens is None else tuple(WantedPush(app_id, kind, token) for kind, token in tokens)
        return None

    async def _apps_of(self, domain: str, kind: CredentialKind) -> list[str]:
        now = self._clock.now_ms()
        known = self._remembered.get((domain, kind))
        if known is not None and 0 <= now - known[0] < FRESH_MS:
            return known[1]
        found = await self._store.read(self._read_apps, domain, kind)
        if len(self._remembered) >= MOST_REMEMBERED:
            self._remembered.clear()
        self._remembered[domain, kind] = (now, found)
        return found

    async def _read_apps(self, tx: Tx, domain: str, kind: CredentialKind) -> list[str]:
        """Unit: those of the domain that have a credential; where the domain names none, of all apps."""
        known = await self._domains.find(tx, domain)
        if known is None:
            return []
        with_credential = await self._apps.with_credential(tx, kind, known.app_ids, MOST_APPS)
        return list(with_credential)

    def _tokens(
        self, provider: Provider, kinds: tuple[str, ...], prid: str, param: str
    ) -> list[tuple[str, str]] | None:
        """(kind, push token), best first; None for what cannot be one."""
        if len(prid) > LONGEST_PRID:
            return None
        if provider == "apns":
            return _apns_tokens(kinds, prid)
        if provider == "fcm":
            return [("fcm", prid)] if is_fcm_push_token(prid) else None
        return self._subscription(prid, param)

    def _subscription(self, endpoint: str, param: str) -> list[tuple[str, str]] | None:
        p256dh, _, auth = param.partition(".")
        try:
            subscription = parse_subscription(_subscription_text(endpoint, p256dh, auth))
            self._urls.check_url(subscription.endpoint)
        except (SubscriptionInvalid, DestinationNotAllowed):
            return None
        return [("webpush", subscription.text())]


def _provider(name: str | None) -> Provider | None:
    name = (name or "").lower()
    return next((provider for provider in PROVIDERS if provider == name), None)


def _unescaped(text: str) -> str | None:
    """The value without the escapes of URIs; None when they are no text."""
    try:
        plain = unquote(text, errors="strict")
    except UnicodeDecodeError:
        return None
    return plain if plain.isprintable() else None


def _kinds(credential: Credential, param: str) -> tuple[str, ...]:
    """The kinds of push token that `pn-param` is about when it names this credential's app; empty when it does not."""
    match credential:
        case ApnsTokenKey():
            return _apns_services(param, f"{credential.team_id}.{credential.bundle_id}")
        case ApnsCertificate():
            # It does not say of which team it is; APNs does not ask either.
            return _apns_services(param.partition(".")[2], credential.bundle_id)
        case FcmServiceAccount():
            return ("fcm",) if param == credential.project_id else ()
        case WebPushKeys():
            return ("webpush",) if param.count(".") == 1 else ()


def _apns_services(topic: str, app: str) -> tuple[str, ...]:
    """`…BUNDLE`, `…BUNDLE.voip`, `…BUNDLE.voip&remote` -> the services, in that order."""
    if topic == app:
        return (_REMOTE,)
    if not topic.startswith(app + "."):
        return ()
    services = tuple(topic.removeprefix(app + ".").split("&"))
    known = set(services) <= _APNS_KINDS.keys() and len(set(services)) == len(services)
    return services if known else ()


def _apns_tokens(services: tuple[str, ...], prid: str) -> list[tuple[str, str]] | None:
    parts = prid.split("&")
    found: dict[str, str] = {}
    for part in parts:
        token, colon, service = part.partition(":")
        if not colon and len(parts) == 1:
            service = services[0]
        stored = apns_push_token(token)
        if service not in services or service in found or stored is None:
            return None
        found[service] = stored
    return [(_APNS_KINDS[service], found[service]) for service in (_VOIP, _REMOTE) if service in found]


def _subscription_text(endpoint: str, p256dh: str, auth: str) -> str:
    return msgspec.json.encode({"endpoint": endpoint, "keys": {"p256dh": p256dh, "auth": auth}}).decode()

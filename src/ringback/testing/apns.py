"""A double of Apple's push service, in the way in which providers see it.

    async with ApnsDouble(folder) as apns:
        apns.url, apns.ca_file, apns.key.file, apns.key.key_id, apns.key.team_id     # for the server's settings
        apns.script(device_token, [reject("Unregistered"), ACCEPT])
        [push] = await apns.wait_for(1, push_token=device_token)

Without a script, the first digits of a device token say what happens to it: see `PREFIXES`.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from ringback.clock import Clock
from ringback.testing import apns_rules as rules
from ringback.testing.apns_key import BOTH, ApnsKey, Environment, ProviderJwt
from ringback.testing.behaviour import (
    ACCEPT,
    INITIAL_WINDOW_SIZE,
    MAX_CONCURRENT_STREAMS,
    REFUSED_STREAM,
    Behaviour,
    drop,
    go_away,
    reject,
    reset,
    silence,
    slow,
    stream_limit,
)
from ringback.testing.certificates import (
    Authority,
    CertificateFiles,
    ClientCertificate,
    read_client_certificate,
    read_der,
)
from ringback.testing.double import SCRIPTED_LIMIT, Answer, Double
from ringback.testing.exchange import Connection, Request

PREFIXES = {
    "dead": reject("Unregistered"),
    "dea1": reject("ExpiredToken"),
    "bad0": reject("BadDeviceToken"),
    "bad1": reject("DeviceTokenNotForTopic"),
    "bad2": reject("TopicDisallowed"),
    "0403": reject("InvalidProviderToken"),
    "1403": reject("ExpiredProviderToken"),
    "2403": reject("BadCertificate"),
    "0413": reject("PayloadTooLarge"),
    "0429": reject("TooManyRequests"),
    "1429": reject("TooManyProviderTokenUpdates"),
    "0500": reject("InternalServerError"),
    "0503": reject("ServiceUnavailable", retry_after="1"),
    "1503": reject("Shutdown"),
    "0777": reset(REFUSED_STREAM),
    "1777": reset(2),
    "0999": silence(),
    "0222": slow(2),
    "60aa": go_away(b'{"reason":"Shutdown"}'),
    "60ab": go_away(last="before"),
    "60ac": drop(),
    "5e01": stream_limit(1),
}
"""What happens to a device token that begins so."""

DAY_MS = 86_400_000
JWT_LIFE_SECONDS = 3600
JWT_LEAST_SECONDS = 1200
STREAMS = 1000
_KEY_OF_CONNECTION = "key id"
_CERTIFICATE = "certificate"
_LIMIT = "stream limit"


class KnownDevice(msgspec.Struct, frozen=True):
    """What the double knows about a device token: its app, and whether and since when it is dead."""

    topic: str | None = None
    dead_since_ms: int | None = None
    reason: str = "Unregistered"


class ApnsDouble(Double):
    """APNs in one environment; production unless `sandbox`.

    `only_known_devices`: a device token that `know` was not told of is a BadDeviceToken, as one of the other
    environment is. `falls_after_rejection`: the stream limit goes back to 1 after a refused push. `initial_window`:
    bytes of a body that a client may send unasked. `update_rule`: a key's JWT may not change within 20 minutes,
    by default on all connections together; else, without `update_rule_for_all`, on each by itself.
    """

    alpn = ("h2",)

    def __init__(
        self,
        folder: Path,
        *,
        sandbox: bool = False,
        keys: Sequence[ApnsKey] = (),
        authority: Authority | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        clock: Clock | None = None,
        streams: int = STREAMS,
        falls_after_rejection: bool = False,
        initial_window: int = 65_535,
        only_known_devices: bool = False,
        update_rule: bool = True,
        update_rule_for_all: bool = True,
    ) -> None:
        self.name = "apns-sandbox" if sandbox else "apns"
        super().__init__(folder, prefixes=PREFIXES, authority=authority, host=host, port=port, clock=clock)
        self._listener.ask_for_certificates()
        self.environment: Environment = "sandbox" if sandbox else "production"
        self.streams = streams
        self.falls_after_rejection = falls_after_rejection
        self.initial_window = initial_window
        self.only_known_devices = only_known_devices
        self.update_rule = update_rule
        self.update_rule_for_all = update_rule_for_all
        self._keys = {key.key_id: key for key in keys or (ApnsKey(folder),)}
        self._read: dict[str, ProviderJwt] = {}
        self._latest: dict[tuple[str, int], tuple[int, int]] = {}
        self._devices: dict[str, KnownDevice] = {}
        self._refused_certificates: set[bytes] = set()
        self._shutting_down = False

    @property
    def key(self) -> ApnsKey:
        """The first key."""
        return next(iter(self._keys.values()))

    def add_key(
        self,
        key_id: str,
        *,
        team_id: str | None = None,
        topics: tuple[str, ...] | None = None,
        environments: tuple[Environment, ...] = BOTH,
    ) -> ApnsKey:
        """One more key, of the same team or of another one."""
        key = ApnsKey(
            self.folder, key_id=key_id, team_id=team_id or self.key.team_id, topics=topics, environments=environments
        )
        self._keys[key_id] = key
        return key

    def revoke_key(self, key_id: str) -> None:
        """From now on: InvalidProviderToken."""
        del self._keys[key_id]
        self._read.clear()

    def revoke_certificate(self, files: CertificateFiles) -> None:
        """From now on: BadCertificate, also on connections that are open."""
        self._refused_certificates.add(read_der(files.certificate))

    def know(self, device_token: str, *, topic: str | None = None) -> None:
        """The device token is of this app (a bundle id, without a suffix); of any app without a topic."""
        self._devices[device_token] = KnownDevice(topic)

    def kill(self, device_token: str, *, since_ms: int | None = None, reason: str = "Unregistered") -> None:
        """The app was removed from the phone, or (`ExpiredToken`) the device token is too old: 410 from now on."""
        known = self._devices.get(device_token, KnownDevice())
        dead_since = self.clock.now_ms() if since_ms is None else since_ms
        self._devices[device_token] = KnownDevice(known.topic, dead_since, reason)

    def shut_down(self) -> None:
        """Every push is answered by 503 Shutdown, and every connection is told to go away."""
        self._shutting_down = True
        self.go_away(b'{"reason":"Shutdown"}')

    def connected(self, connection: Connection) -> None:
        """A certificate decides the topics of the whole connection."""
        if connection.certificate is not None:
            connection.facts[_CERTIFICATE] = read_client_certificate(connection.certificate)

    def settings_for(self, connection: Connection) -> Mapping[int, int]:
        """One stream until the first push was accepted; with a certificate it is known who is there."""
        limit = self.streams if connection.certificate is not None else min(1, self.streams)
        connection.facts[_LIMIT] = limit
        return {MAX_CONCURRENT_STREAMS: limit, INITIAL_WINDOW_SIZE: self.initial_window}

    def requested(self, request: Request) -> None:
        """A push; or something else, which is refused like one."""
        token = rules.device_token_of(request.path) or ""
        received = self._receive(request, push_token=token, payload=_json(request.body))
        received.topic = self._topic(request)
        received.push_type = request.header("apns-push-type") or "alert"
        received.push_id = request.header("apns-id") or str(uuid.uuid4()).upper()
        reason = self._reason_to_refuse(request, token, received.topic, received.push_type)
        behaviour = reject(reason) if reason else self._script.take(token)

        def answer() -> Answer:
            return self._answer(request.connection, received.push_id, token, behaviour)

        self._perform(request, received, behaviour, answer)

    def _answer(self, connection: Connection, push_id: str, token: str, behaviour: Behaviour) -> Answer:
        headers = [("apns-id", push_id)]
        if self.environment == "sandbox":
            headers.append(("apns-unique-id", str(uuid.uuid4())))
        status = behaviour.status or rules.STATUSES.get(behaviour.reason, 200)
        accepted = status == 200  # noqa: PLR2004 - HTTP statuses
        self._adjust_limit(connection, accepted=accepted)
        if behaviour.retry_after:
            headers.append(("retry-after", behaviour.retry_after))
        if behaviour.body is not None:
            return Answer(status, headers, behaviour.body, behaviour.reason)
        if not behaviour.reason:
            return Answer(status, headers)
        said: dict[str, object] = {"reason": behaviour.reason}
        if status == 410:  # noqa: PLR2004 - as above
            said["timestamp"] = self._dead_since(token, behaviour)
        headers.append(("content-type", "application/json"))
        return Answer(status, headers, msgspec.json.encode(said), behaviour.reason)

    def _dead_since(self, token: str, behaviour: Behaviour) -> int:
        if behaviour.timestamp_ms is not None:
            return behaviour.timestamp_ms
        known = self._devices.get(token, KnownDevice()).dead_since_ms
        return self.clock.now_ms() - DAY_MS if known is None else known

    def _adjust_limit(self, connection: Connection, *, accepted: bool) -> None:
        limit = connection.facts[_LIMIT]
        if accepted:
            wanted = self.streams
        elif self.falls_after_rejection:
            wanted = min(1, self.streams)
        else:
            return
        if limit != wanted and SCRIPTED_LIMIT not in connection.facts:
            connection.facts[_LIMIT] = wanted
            connection.change_settings({MAX_CONCURRENT_STREAMS: wanted})

    def _topic(self, request: Request) -> str:
        """The header, or the default of the certificate where that has one topic only."""
        certificate = request.connection.facts.get(_CERTIFICATE)
        default = ""
        if isinstance(certificate, ClientCertificate) and len(certificate.topics) == 1:
            default = certificate.topics[0]
        return request.header("apns-topic") or default

    def _reason_to_refuse(self, request: Request, token: str, topic: str, push_type: str) -> str:
        reason = rules.path_and_method(request)
        if reason:
            return reason
        certificate = request.connection.facts.get(_CERTIFICATE)
        by_certificate = isinstance(certificate, ClientCertificate) and request.header("authorization") is None
        if isinstance(certificate, ClientCertificate) and by_certificate:
            reason = self._refused_certificate(request, certificate)
            allowed: Sequence[str] | None = certificate.topics
        else:
            reason, allowed = self._refused_jwt(request)
        reason = reason or rules.shape(rules.Push(request, token, topic, push_type, by_certificate))
        if not reason and allowed is not None and topic not in allowed:
            reason = "TopicDisallowed"
        return reason or self._refused_device(token, topic, push_type)

    def _refused_certificate(self, request: Request, certificate: ClientCertificate) -> str:
        if request.connection.certificate in self._refused_certificates or not certificate.topics:
            return "BadCertificate"
        here = certificate.sandbox if self.environment == "sandbox" else certificate.production
        return "" if here else "BadCertificateEnvironment"

    def _refused_jwt(self, request: Request) -> tuple[str, Sequence[str] | None]:
        """Why the JWT is refused, and what its key may push to."""
        scheme, _, text = (request.header("authorization") or "").partition(" ")
        if scheme.lower() != "bearer" or not text:
            return "MissingProviderToken", None
        said = self._read_jwt(text.strip())
        if said is None:
            return "InvalidProviderToken", None
        key = self._keys[said.key_id]
        now = self.clock.now_ms() // 1000
        if self.environment not in key.environments:
            return "BadEnvironmentKeyIdInToken", None
        if request.connection.facts.setdefault(_KEY_OF_CONNECTION, said.key_id) != said.key_id:
            return "UnrelatedKeyIdInToken", None
        if abs(now - said.issued_at) > JWT_LIFE_SECONDS:
            return "ExpiredProviderToken", None
        topics = key.topics and [topic + suffix for topic in key.topics for suffix in rules.SUFFIXES.values()]
        return self._updated_too_often(said, now, request.connection), topics

    def _read_jwt(self, text: str) -> ProviderJwt | None:
        if text not in self._read:
            said = next((said for key in self._keys.values() if (said := key.read(text))), None)
            if said is None:
                return None
            self._read[text] = said
        return self._read[text]

    def _updated_too_often(self, said: ProviderJwt, now: int, connection: Connection) -> str:
        where = (said.key_id, 0 if self.update_rule_for_all else connection.number)
        latest, since = self._latest.get(where, (-1, now - JWT_LEAST_SECONDS))
        if said.issued_at <= latest:
            return ""
        if self.update_rule and now - since < JWT_LEAST_SECONDS:
            return "TooManyProviderTokenUpdates"
        self._latest[where] = (said.issued_at, now)
        return ""

    def _refused_device(self, token: str, topic: str, push_type: str) -> str:
        known = self._devices.get(token)
        if self._shutting_down:
            return "Shutdown"
        if known is None:
            return "BadDeviceToken" if self.only_known_devices else ""
        if known.topic is not None and topic != known.topic + rules.SUFFIXES[push_type]:
            return "DeviceTokenNotForTopic"
        return "" if known.dead_since_ms is None else known.reason


def _json(body: bytes) -> object:
    try:
        return msgspec.json.decode(body)
    except msgspec.DecodeError:
        return None


__all__ = ["ACCEPT", "PREFIXES", "ApnsDouble", "KnownDevice"]

"""Subscriptions over an endpoint: sends the SUBSCRIBEs, finds whom a NOTIFY is for. Source: RFC 6665."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from ringback.clock import Randomness, SystemRandomness
from ringback.protocols.sip.errors import SipMalformed
from ringback.protocols.sip.message import Request, Response
from ringback.protocols.sip.subscription import Notification, Phase, Subscriber
from ringback.protocols.sip.transactions import NEVER
from ringback.sip.authenticated import Authenticator, SipPassword
from ringback.sip.counters import Reason
from ringback.sip.endpoint import SipEndpoint
from ringback.sip.incoming import IncomingRequest
from ringback.sip.model import SipAddress, SipFailure, SipUnreachable
from ringback.sip.resolve import next_hop

_ACCEPTS: Final = {"reg": "application/reginfo+xml"}
_ENDED: Final = 481
_MOST_AUTHENTICATORS: Final = 100
_MOST_ASKED: Final = 4
_COUNTED: Final[dict[int, Reason]] = {481: "unmatched_notify", 489: "event", 500: "out_of_order"}
_USER: Final = "ringback"


class SubscriptionRefused(SipFailure):
    """The other side does not want to notify us. `status` and `reason` are what it answered."""

    def __init__(self, response: Response) -> None:
        self.status = response.status
        self.reason = response.reason
        super().__init__(f"{response.status} {response.reason}".strip())


class Subscription:
    """One of ours. `is_over`: nothing will be told any more."""

    __slots__ = (
        "_authenticator", "_machine", "_on_notify", "_otherwise", "_subscriptions", "_to", "sources", "tick",
    )  # fmt: skip

    def __init__(
        self,
        subscriptions: Subscriptions,
        machine: Subscriber,
        *,
        to: SipAddress,
        otherwise: SipAddress | None,
        sources: frozenset[str],
        authenticator: Authenticator | None,
        on_notify: Callable[[Notification], None],
    ) -> None:
        self._subscriptions = subscriptions
        self._machine = machine
        self._to = to
        self._otherwise = otherwise
        self._authenticator = authenticator
        self._on_notify = on_notify
        self.sources = sources
        self.tick = 0

    @property
    def is_over(self) -> bool:
        """Whether it has ended, by whomever."""
        return self._machine.phase in {Phase.LEAVING, Phase.OVER}

    @property
    def is_forgotten(self) -> bool:
        """Whether nothing of it is expected any more."""
        return self._machine.phase is Phase.OVER

    @property
    def key(self) -> tuple[str, str]:
        """Call-ID and our tag: what a NOTIFY of this subscription names."""
        return self._machine.call_id, self._machine.tag

    @property
    def due(self) -> float:
        """When it is to be refreshed, or forgotten."""
        return self._machine.due

    @due.setter
    def due(self, value: float) -> None:
        self._machine.due = value

    async def begin(self) -> None:
        """Raises SubscriptionRefused, SipTimeout and SipUnreachable; then NOTIFYs of it are answered 481."""
        machine = self._machine
        try:
            response = await self._ask()
            if machine.wants_longer(response):
                response = await self._ask()
            if response.status >= 300:
                raise SubscriptionRefused(response)  # noqa: TRY301 forgotten like after every other failure
            machine.accepted(response, self._subscriptions.now())
        except SipMalformed as error:
            self._subscriptions.forget(self)
            raise SipUnreachable("The answer to the SUBSCRIBE cannot be used.") from error
        except BaseException:
            self._subscriptions.forget(self)
            raise
        self._subscriptions.moved(self)

    async def end(self) -> None:
        """Unsubscribes. Nothing is told from here on; NOTIFYs that still come are answered. Never raises SipFailure."""
        machine = self._machine
        if not machine.left(self._subscriptions.now()):
            return
        self._subscriptions.moved(self)
        try:
            response = await self._ask(0)
        except SipFailure:
            return  # it ends by itself; until then NOTIFYs get their 200 for a while, and then 481
        if response.status >= 300:
            self._subscriptions.forget(self)

    def notified(self, incoming: IncomingRequest) -> None:
        """A NOTIFY for this subscription, from where it may come."""
        try:
            judged = self._machine.notified(incoming.request, self._subscriptions.now())
        except SipMalformed as malformed:
            incoming.count("malformed")
            incoming.respond(400, malformed.reason)
            return
        if judged.status in _COUNTED:
            incoming.count(_COUNTED[judged.status])
        self._subscriptions.moved(self)
        try:
            if judged.told is not None:
                self._on_notify(judged.told)
        except SipMalformed as malformed:
            incoming.count("unreadable")
            incoming.respond(400, malformed.reason)
        else:
            incoming.respond(judged.status, headers=judged.headers)

    def forgotten(self) -> None:
        """It is not known any more: NOTIFYs get 481."""
        self._machine.ended()

    def on_time(self, now: float) -> None:
        """Time to refresh it, or to forget it."""
        self._machine.due = NEVER
        if self._machine.phase is Phase.LEAVING:
            self._subscriptions.forget(self)
        elif self._machine.is_expired(now):
            self._lost("expired")
        else:
            self._subscriptions.endpoint.spawn(self._refresh())

    async def _refresh(self) -> None:
        machine = self._machine
        try:
            response = await self._ask()
        except SipFailure:
            response = None
        if self.is_over:
            return
        now = self._subscriptions.now()
        if response is not None and response.status < 300:
            machine.accepted(response, now)
        elif response is not None and response.status == _ENDED:
            self._lost("gone")
            return
        else:
            machine.refresh_again(now)
        self._subscriptions.moved(self)

    def _lost(self, reason: str) -> None:
        self._subscriptions.forget(self)
        self._on_notify(Notification("terminated", reason, b"", ""))

    async def _ask(self, expires: int | None = None) -> Response:
        """The next SUBSCRIBE. Raises SipTimeout and SipUnreachable."""
        machine = self._machine
        if machine.routes:
            return await self._sent(machine.subscribe(expires), next_hop(machine.first_hop))
        # Where there is no route, the proxy that we subscribed at is our way out, not whatever a Contact says.
        try:
            return await self._sent(machine.subscribe(expires), self._to)
        except SipUnreachable:
            if self._otherwise is None or self._otherwise == self._to:
                raise
        return await self._sent(machine.subscribe(expires), self._otherwise)

    async def _sent(self, request: Request, to: SipAddress) -> Response:
        endpoint = self._subscriptions.endpoint
        if self._authenticator is None:
            return await endpoint.send(request, to)
        try:
            response = await self._authenticator.send(endpoint, request, to)
        except SipFailure:
            self._machine.sent(request.cseq.number + _MOST_ASKED)  # which of the attempts was lost is not known
            raise
        self._machine.sent(response.cseq.number)
        return response


class Subscriptions:
    """All subscriptions over one endpoint; its handler offers each NOTIFY to `handles` first."""

    def __init__(self, endpoint: SipEndpoint, randomness: Randomness | None = None) -> None:
        self.endpoint = endpoint
        self.now = asyncio.get_running_loop().time
        self._randomness = randomness or SystemRandomness()
        self._known: dict[tuple[str, str], Subscription] = {}
        self._authenticators: list[tuple[SipAddress, SipPassword, Authenticator]] = []
        self._last_sources: frozenset[str] = frozenset()

    def __len__(self) -> int:
        return len(self._known)

    async def subscribe(
        self,
        *,
        event: str,
        target: str,
        to: SipAddress,
        expires: int,
        credentials: SipPassword | None = None,
        on_notify: Callable[[Notification], None],
        accept: str = "",
        otherwise: SipAddress | None = None,
    ) -> Subscription:
        """Subscribes at `to`; returns when that is accepted, which may be after the first NOTIFY was told.

        target: the URI that is watched. With credentials, From is their user at the target's domain. NOTIFYs count only
        from the addresses of `to`, and from networks that the endpoint trusts. `otherwise`: the same server, for when
        `to` is the other end of a connection that was lost, where nobody listens. The subscription is refreshed by
        itself; an end that is not ours is told as a notification "terminated". `on_notify` may raise SipMalformed for a
        body that it cannot read: the NOTIFY is answered 400. Raises SubscriptionRefused, SipTimeout and SipUnreachable;
        when it is cancelled nothing remains.
        """
        host = _domain_of(target) if credentials is not None else ""
        user = credentials.username if credentials is not None else _USER
        machine = Subscriber(
            event=event,
            target=target,
            local=f"sip:{user}@{host or await self.endpoint.host_towards(to)}",
            call_id=self._randomness.bytes(16).hex(),
            tag=self._randomness.bytes(8).hex(),
            expires=expires,
            accept=accept or _ACCEPTS.get(event, ""),
        )
        made = Subscription(
            self,
            machine,
            to=to,
            otherwise=otherwise,
            sources=self._shared(frozenset(await self.endpoint.addresses(to))),
            authenticator=self._authenticator(to, credentials),
            on_notify=on_notify,
        )
        self._known[made.key] = made  # a NOTIFY may come before the 200 to the SUBSCRIBE
        await made.begin()
        return made

    def handles(self, incoming: IncomingRequest) -> bool:
        """Takes a NOTIFY that belongs to a subscription of ours. False: it does not, and nothing was answered."""
        request = incoming.request
        if request.method != "NOTIFY":
            return False
        found = self._known.get((request.call_id, request.to_tag or ""))
        if found is None:
            self.endpoint.counters.refuse("unmatched_notify")
            return False
        if incoming.source.host not in found.sources and incoming.source.host not in self.endpoint.trusted:
            self.endpoint.counters.refuse("forged")
            return False
        found.notified(incoming)
        return True

    def moved(self, one: Subscription) -> None:
        """It wants to be called at another time, or not at all."""
        if one.is_forgotten:
            self.forget(one)
        else:
            self.endpoint.wheel.place(one)

    def forget(self, one: Subscription) -> None:
        """Nothing of it is known any more."""
        one.forgotten()
        self.endpoint.wheel.place(one)
        if self._known.get(one.key) is one:
            del self._known[one.key]

    def _shared(self, sources: frozenset[str]) -> frozenset[str]:
        """The same object where the last one said the same: almost all subscribe at one proxy."""
        if sources != self._last_sources:
            self._last_sources = sources
        return self._last_sources

    def _authenticator(self, to: SipAddress, credentials: SipPassword | None) -> Authenticator | None:
        if credentials is None:
            return None
        for place, password, known in self._authenticators:
            if place == to and password == credentials:
                return known
        if len(self._authenticators) >= _MOST_AUTHENTICATORS:
            self._authenticators.clear()
        made = Authenticator(credentials, self._randomness)
        self._authenticators.append((to, credentials, made))
        return made


def _domain_of(target: str) -> str:
    """The host of a URI, "" when it has no user."""
    _, _, domain = target.rpartition("@")
    return domain.partition(";")[0] if "@" in target else ""

"""The outbox's channels "push" and "campaign": give each push to the provider of its kind, and write what follows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

import msgspec
from msgspec.structs import replace

from ringback.outbox import Circuit, Delivered, Delivery, GiveUp, Outbox, Result, RetryLater, Settled
from ringback.push import queries
from ringback.push.content import decode_content
from ringback.push.model import LIVE_ACTIVITY, TRANSITIONS, OutgoingPush, WaitingPush
from ringback.push.reactions import Reaction, Verdict
from ringback.push.ringing import NEVER_RANG
from ringback.push.service import CAMPAIGN_CHANNEL, CHANNEL, NOTHING_MORE
from ringback.store import Tx

if TYPE_CHECKING:
    from ringback.push.local import LocalProvider
    from ringback.push.tokens import PushTokens

PARKED_SECONDS = 60
"""How often a credential that was refused is tried again without having been changed."""
# A provider answers within some 50 ms, so a credential's places bound its rate: 1,024 make 20,000 a second.
_PLACES = 1_024
_IN_FLIGHT = 4_096
_CAMPAIGN_PLACES = 512
_CAMPAIGN_IN_FLIGHT = 1_024
# What was under way when a connection broke fails together; only what fails after that says that nobody is there.
_CIRCUIT_AFTER = 16
_CIRCUIT_SECONDS = 5
_LOOK_SECONDS = 1
_MOST_LOOKS = 20
"""No attempt takes so many seconds: then the process that made it is gone, and the phone may ring."""
_FAREWELL = '"call_cancelled"'
"""In the payload of what takes back the push of a call, and hardly ever in another one."""
_NO_ID_YET = NOTHING_MORE.decode()
_encode = msgspec.json.Encoder().encode


class Provider(Protocol):
    """Somebody who takes pushes to phones."""

    async def send(self, push: OutgoingPush) -> Reaction:
        """One attempt; the same push may come again."""
        ...


class Ticket(msgspec.Struct, frozen=True, rename="camel"):
    """The payload of a delivery that an older version has queued, under an id of its own."""

    push_id: str


class Effect(msgspec.Struct, frozen=True, gc=False):
    """What is to be written beside a push's end: the answer, and the push token that it is about."""

    reaction: Reaction
    push_token_id: str | None
    push_token: str


class PushChannel:
    """Sends what was queued. `providers` by kind of push token; `local` is the one for kind `local`."""

    def __init__(
        self,
        *,
        push_tokens: PushTokens,
        local: LocalProvider | None = None,
        providers: Mapping[str, Provider] | None = None,
    ) -> None:
        self._push_tokens = push_tokens
        self._local = local
        self._providers = dict(providers or {})

    def plug_into(self, outbox: Outbox) -> None:
        """Registers both channels; at start."""
        for name, places, in_flight in (
            (CHANNEL, _PLACES, _IN_FLIGHT),
            (CAMPAIGN_CHANNEL, _CAMPAIGN_PLACES, _CAMPAIGN_IN_FLIGHT),
        ):
            circuit = Circuit(failures=places + _CIRCUIT_AFTER, pause_seconds=_CIRCUIT_SECONDS)
            outbox.register_bulk_channel(name, self, per_destination=places, in_flight=in_flight, circuit=circuit)

    async def load(self, tx: Tx, deliveries: Sequence[Delivery]) -> Sequence[WaitingPush | None]:
        """The pushes of some deliveries, with their push tokens as they are now."""
        ids = [push_id_of(delivery) for delivery in deliveries]
        found = {push.id: push for push in await tx.all(queries.waiting_pushes, _encode(ids).decode())}
        found |= await self._with_calls(tx, [push for push in found.values() if _FAREWELL in push.payload])
        return [found.get(push_id) for push_id in ids]

    async def _with_calls(self, tx: Tx, farewells: Sequence[WaitingPush]) -> dict[str, WaitingPush]:
        """What tells phones that a call is over, with the push of that call, by id."""
        if not farewells:
            return {}
        calls = {push.id: decode_content(push.payload).push_id for push in farewells}
        rung = await tx.all(queries.pushes_of_calls, _encode(list(calls.values())).decode())
        by_id = {push.id: push for push in rung}
        return {push.id: replace(push, takes_back=by_id.get(calls[push.id])) for push in farewells}

    async def attempt(self, delivery: Delivery, work: WaitingPush | None) -> Result:
        """One attempt."""
        if work is not None and work.status != "QUEUED":
            return Delivered("was delivered before")
        refused = self._why_not(work)
        if work is None or refused is not None:
            return GiveUp(refused or "", destination_was_asked=False)
        is_under_way = work.takes_back is not None and work.takes_back.status == "QUEUED"
        if is_under_way and delivery.attempts <= _MOST_LOOKS:
            # Another process is trying. This must not overtake the call, nor come where the call never does.
            return RetryLater(
                "the call is on its way to the phone", pause_seconds=_LOOK_SECONDS, destination_is_well=True
            )
        if work.kind == "local" and self._local is not None:
            return await self._local.send(work)
        push = self._outgoing(delivery, work)
        return result_of(await self._providers[work.kind].send(push), push)

    async def settled(self, tx: Tx, settled: Sequence[Settled]) -> None:
        """Ends pushes, and deletes or corrects the push tokens that their answers were about."""
        ended = []
        for one in settled:
            effect = one.result.note
            provider_id = None
            if isinstance(effect, Effect):
                provider_id = effect.reaction.provider_id
                await self._write(tx, effect)
            if one.state != "READY":
                status = TRANSITIONS["QUEUED", "DELIVERED" if one.state == "DONE" else "GIVE_UP"]
                ended.append(_Ended(push_id_of(one.delivery), status, one.reason, provider_id))
        await tx.run_for(queries.end_pushes, ended)

    def _why_not(self, push: WaitingPush | None) -> str | None:
        """Why nobody can or may be reached, or None.

        A mailbox is reached by its registration alone, a Live Activity by the push token that the push has itself.
        """
        if push is None:
            return "the push is gone"
        is_local = push.kind == "local" and self._local is not None
        if not is_local and push.kind not in self._providers:
            return f"no provider for {push.kind}"
        needs_none = is_local or push.kind == LIVE_ACTIVITY
        if not push.has_token and (not needs_none or push.push_token_id is not None):
            return "the push token is gone"
        if push.takes_back is not None and (push.takes_back.reason or "").startswith(NEVER_RANG):
            return "the call has not reached the phone"
        return "the registration is blocked" if push.suspended else None

    async def _write(self, tx: Tx, effect: Effect) -> None:
        if effect.push_token_id is None:
            return
        reaction = effect.reaction
        if reaction.verdict is Verdict.DELETE_PUSH_TOKEN:
            await self._push_tokens.died(tx, effect.push_token_id, effect.push_token, reaction.unregistered_at)
        elif reaction.environment is not None:
            await self._push_tokens.set_environment(tx, effect.push_token_id, effect.push_token, reaction.environment)

    def _outgoing(self, delivery: Delivery, work: WaitingPush) -> OutgoingPush:
        content = decode_content(work.payload)
        activity = content.live_activity
        push_token = work.push_token if activity is None else activity.push_token
        assert push_token is not None  # it has been looked for
        return OutgoingPush(
            id=work.id,
            app_id=work.app_id,
            user_id=content.user_id,
            kind=work.kind,
            push_token=push_token,
            content=content,
            push_token_id=work.push_token_id,
            environment=work.environment if activity is None else activity.environment,
            encryption_key=self._push_tokens.encryption_key(work.push_token_id or "", work.encryption_key_sealed),
            deadline_at=delivery.deadline_at,
            urgent=content.call is not None,
            registered_at=work.registered_at or 0,
        )


class _Ended(msgspec.Struct, frozen=True, gc=False):
    """What the command `end_pushes` is given of each push."""

    id: str
    status: str
    reason: str | None
    provider_id: str | None


def push_id_of(delivery: Delivery) -> str:
    """Which push a delivery delivers."""
    if delivery.payload == _NO_ID_YET:
        return delivery.id
    return msgspec.json.decode(delivery.payload, type=Ticket).push_id


def result_of(reaction: Reaction, push: OutgoingPush) -> Result:
    """What a provider's answer means for the delivery; the table of verdicts is in `reactions.py`."""
    effect = Effect(reaction, push.push_token_id, push.push_token)
    sentence = reaction.sentence
    match reaction.verdict:
        case Verdict.DELIVERED:
            return Delivered(sentence or None, note=effect)
        case Verdict.DELETE_PUSH_TOKEN | Verdict.OTHER_ENVIRONMENT | Verdict.SUSPECT | Verdict.FAILED:
            return GiveUp(sentence, note=effect)
        case Verdict.PARK:
            return RetryLater(sentence, pause_seconds=PARKED_SECONDS, leave_alone_seconds=PARKED_SECONDS, note=effect)
        case _:
            return RetryLater(
                sentence,
                after_seconds=reaction.retry_after_seconds,
                leave_alone_seconds=reaction.retry_after_seconds if reaction.stops_all else None,
                destination_is_well=_is_about_the_phone(reaction, push),
                note=effect,
            )


def _is_about_the_phone(reaction: Reaction, push: OutgoingPush) -> bool:
    """Whether a failure says nothing of the other phones of the app."""
    # The endpoints of Web Push are the devices' choice: one of them being away is nobody else's matter.
    return (
        push.kind == "webpush" or reaction.reason == "TooManyRequests" or reaction.verdict is Verdict.NEW_PROVIDER_TOKEN
    )

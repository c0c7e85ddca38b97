"""A phone that sleeps, is woken by a push, takes the call and sleeps again; and one that calls."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from typing import Any, TypeVar

import msgspec

from ringback.protocols.cucm_push import CallPush
from ringback.softphone.call_push import CallPushStream, is_incoming
from ringback.softphone.errors import CallUnknown
from ringback.softphone.phone import Phone
from ringback.softphone.sip_account import SipAccount
from ringback.softphone.sip_call import OnMove, PhoneCall
from ringback.softphone.sip_incoming import IncomingCall
from ringback.softphone.sip_phone import SipPhone
from ringback.softphone.sip_states import CallMove, meaning

T = TypeVar("T")

_RING_SECONDS = 60.0
_MEANT_TO_FAIL = 300


class CallTold(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, kw_only=True):
    """What became of a call. `meaning`: in words, where it was not answered.

    Of a phone that was woken, `push_id` is the push that did it and `register_ms` how long its REGISTER took.
    """

    call_id: str
    peer: str
    incoming: bool
    answered: bool
    end: str
    status: int = 0
    reason: str = ""
    meaning: str = ""
    moves: list[CallMove] = []
    early_media_packets: int = 0
    heard_packets: int = 0
    push_id: str = ""
    register_ms: int = 0


class Answering(msgspec.Struct, frozen=True, kw_only=True):
    """How a phone takes calls. `push_key`: what pushes to it are encrypted with, 32 bytes; None where they are not."""

    ring_seconds: float = 0.5
    talk_seconds: float = 2.0
    reject: bool = False
    sound: bool = True
    ca_file: str | None = None
    push_key: bytes | None = None


def tell_of(call: PhoneCall) -> CallTold:
    """The call in figures."""
    return CallTold(
        call_id=call.call_id,
        peer=call.peer,
        incoming=call.incoming,
        answered=call.answered,
        end=call.end,
        status=call.status,
        reason=call.reason,
        meaning=_meaning(call),
        moves=list(call.moves),
        early_media_packets=call.early_media_packets,
        heard_packets=call.heard_packets,
    )


def _meaning(call: PhoneCall) -> str:
    if call.end == "failed":
        return call.reason
    return meaning(call.status, call.reason) if call.status >= _MEANT_TO_FAIL else ""


async def make_call(
    account: SipAccount,
    address: str,
    *,
    talk_seconds: float = 2.0,
    patience_seconds: float = 120.0,
    sound: bool = True,
    in_parallel: bool = False,
    ca_file: str | None = None,
    on_move: OnMove | None = None,
) -> CallTold:
    """Calls, talks for so long when somebody answers, hangs up. Raises SipServerUnreachable."""
    async with SipPhone(account, sound=sound, ca_file=ca_file) as phone:
        call = await phone.call(address, on_move=on_move, in_parallel=in_parallel)
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(patience_seconds):
                    await call.reached("ANSWERED")
            if call.state == "ANSWERED":
                await _talk(call, talk_seconds)
        finally:
            await call.hang_up()
    return tell_of(call)


async def take_call(call: IncomingCall, wanted: Answering) -> None:
    """Rings, answers, talks and hangs up; or rejects."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(wanted.ring_seconds):
            await call.over()
    if call.state == "RINGING":
        await (call.reject() if wanted.reject else call.answer())
    if call.state == "ANSWERED":
        await _talk(call, wanted.talk_seconds)
    await call.hang_up()


class Wakened(msgspec.Struct, frozen=True):
    """A phone that a push has woken: registered, with the call that the push was about; None when it never came."""

    call: IncomingCall | None
    call_id: str
    register_ms: int


@contextlib.asynccontextmanager
async def wakened(
    phone: Phone,
    account: SipAccount,
    push: CallPush,
    wanted: Answering,
    *,
    over: asyncio.Event | None = None,
    on_move: OnMove | None = None,
) -> AsyncIterator[Wakened]:
    """Registers, asks which call the push is about, and waits for its INVITE; unregisters at the end.

    `over`: is set when nobody needs to wait any more.

    Raises RegisterRefused, SipServerUnreachable, CallUnknown.
    """
    async with SipPhone(account, sound=wanted.sound, ca_file=wanted.ca_file) as sip:
        started = sip.clock()
        await sip.register()
        register_ms = round((sip.clock() - started) * 1000)
        try:
            call_id = await phone.call_id_of(push.pushid)
            coming = sip.next_call(call_id, seconds=_seconds_left(phone, push), on_move=on_move)
            call = await _unless(over or asyncio.Event(), coming)
            yield Wakened(call, call_id, register_ms)
        finally:
            await sip.unregister()


async def answer_calls(
    phone: Phone,
    account: SipAccount,
    wanted: Answering,
    *,
    once: bool,
    awake: bool,
    told: Callable[[str], None],
    moved: OnMove,
    ended: Callable[[CallTold], None],
) -> None:
    """Takes calls, one after the other, until `once` is enough or for ever. `told`: what happens, for people."""
    calls = _awake(account, wanted, told, moved) if awake else _asleep(phone, account, wanted, told, moved)
    async with contextlib.aclosing(calls):
        async for call in calls:
            ended(call)
            if once:
                return


async def _awake(
    account: SipAccount, wanted: Answering, told: Callable[[str], None], moved: OnMove
) -> AsyncGenerator[CallTold]:
    async with SipPhone(account, sound=wanted.sound, ca_file=wanted.ca_file) as sip:
        expires = await sip.register()
        told(f"Registered as {account.uri} for {expires} s. Waiting for a call.")
        try:
            while True:
                call = await sip.next_call(on_move=moved)
                assert call is not None  # it waits for ever
                told(f"{call.peer} calls.")
                await take_call(call, wanted)
                yield tell_of(call)
        finally:
            await sip.unregister()


async def _asleep(
    phone: Phone, account: SipAccount, wanted: Answering, told: Callable[[str], None], moved: OnMove
) -> AsyncGenerator[CallTold]:
    await phone.register_push()
    async with phone.open_push_stream() as stream, CallPushStream(stream, wanted.push_key).reading() as pushes:
        told("Asleep. Waiting for a push.")
        async for push in pushes:
            who = push.displayname or push.displaynumber or "somebody"
            if not is_incoming(push):
                told(f"A push: the call of {who} is over.")
                continue
            if await _is_over(phone, push):
                told(f"A push: {who} called, but that is over.")
                continue
            told(f"A push: {who} calls. Waking up.")
            try:
                over = pushes.over(push.pushid)
                async with wakened(phone, account, push, wanted, over=over, on_move=moved) as woken:
                    told(f"Registered after {woken.register_ms} ms; the call is {woken.call_id}.")
                    if woken.call is None:
                        told("The call did not come: the caller has given up.")
                        continue
                    await take_call(woken.call, wanted)
                    call = tell_of(woken.call)
                yield msgspec.structs.replace(call, push_id=push.pushid, register_ms=woken.register_ms)
            except CallUnknown as error:
                told(error.message)
            finally:
                pushes.forget(push.pushid)
            told("Asleep again.")


async def _unless(over: asyncio.Event, coming: Coroutine[Any, Any, T]) -> T | None:
    """What comes, unless it is over before."""
    waiting, ending = asyncio.create_task(coming), asyncio.create_task(over.wait())
    try:
        await asyncio.wait({waiting, ending}, return_when=asyncio.FIRST_COMPLETED)
        return waiting.result() if waiting.done() else None
    finally:
        waiting.cancel()
        ending.cancel()


async def _talk(call: PhoneCall, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await call.over()


async def _is_over(phone: Phone, push: CallPush) -> bool:
    """Whether its time is over, and not because a clock was set."""
    if _seconds_left(phone, push) <= 0:
        await phone.server.ask_time_again(phone.state.server_url)
    return _seconds_left(phone, push) <= 0


def _seconds_left(phone: Phone, push: CallPush) -> float:
    """By the server's clock, as it told the phone."""
    if not push.ringexpiretime.isdecimal():
        return _RING_SECONDS
    return (int(push.ringexpiretime) - phone.server.now_ms()) / 1000

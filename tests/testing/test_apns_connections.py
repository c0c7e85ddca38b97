"""What the APNs double does to connections and streams: limits, GOAWAY, resets, silence, windows, outages."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import pytest

from ringback.clock import ManualClock
from ringback.errors import StartRefused
from ringback.testing import (
    APNS_PREFIXES,
    INITIAL_WINDOW_SIZE,
    REFUSED_STREAM,
    ApnsDouble,
    Behaviour,
    drop,
    go_away,
    reject,
    reset,
    silence,
    slow,
    stream_limit,
)
from tests.testing.client import PATIENCE, TOPIC, Answer, ConnectionWasLost, GoAway, Pusher, StreamWasReset

MANY = 1000
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
ON_STREAM_0 = PREFACE + b"\0\0\0\x04\0\0\0\0\0" + b"\0\0\x01\x01\x05\0\0\0\0\x82"
NOT_UTF8 = PREFACE + b"\0\0\0\x04\0\0\0\0\0" + b"\0\0\x0b\x01\x05\0\0\0\x01" + b"\x83\x87\x84\x41\x01a\0\x01x\x01\xff"


def device(number: int) -> str:
    return f"{number:064x}"


async def _lifted(pusher: Pusher) -> None:
    """After the first accepted push a thousand streams are allowed."""
    assert (await pusher.push(device(0xFFFF))).status == 200
    assert pusher.client.limits[-1] == MANY


async def _outcomes(futures: list[asyncio.Future[Answer]]) -> list[Answer | BaseException]:
    return await asyncio.wait_for(asyncio.gather(*futures, return_exceptions=True), PATIENCE)


async def test_one_stream_until_a_push_was_accepted(pusher: Pusher) -> None:
    assert pusher.client.limits == [1]
    assert (await pusher.push(apns_topic=None)).status == 400
    assert pusher.client.limits == [1]
    assert (await pusher.push()).status == 200
    assert (await pusher.push()).status == 200
    assert pusher.client.limits == [1, MANY]


async def test_a_certificate_has_all_streams_at_once(apns: ApnsDouble) -> None:
    pusher = await Pusher.open(apns, apns.authority.client(TOPIC))
    assert (await pusher.push()).status == 200
    assert pusher.client.limits == [MANY]


async def test_the_limit_may_fall_after_a_refusal_and_rise_again(tmp_path: Path) -> None:
    async with ApnsDouble(tmp_path, falls_after_rejection=True, streams=500) as apns:
        pusher = await Pusher.open(apns)
        for topic in (TOPIC, None, None, TOPIC):
            await pusher.push(apns_topic=topic)
        assert pusher.client.limits == [1, 500, 1, 500]


async def test_one_stream_too_many_ends_the_connection(apns: ApnsDouble, pusher: Pusher) -> None:
    apns.next(silence())
    waiting = pusher.start(device(1))
    await apns.wait_for(1)
    with pytest.raises(ConnectionWasLost):
        await pusher.push(device(2))
    assert pusher.client.goaways == [GoAway(1, 1, b"Maximum active streams violated")]
    assert apns.violations == [1]
    assert isinstance(waiting.exception(), ConnectionWasLost)


async def test_settings_may_change_in_flight(apns: ApnsDouble, pusher: Pusher) -> None:
    await _lifted(pusher)
    apns.hold()
    futures = [pusher.start(device(number)) for number in range(10)]
    await apns.wait_for(11)
    apns.change_settings({3: 2})
    apns.release()
    assert all(isinstance(answer, Answer) for answer in await _outcomes(futures))
    assert pusher.client.limits == [1, MANY, 2]
    apns.next(stream_limit(1))
    assert (await pusher.push()).status == 200
    assert pusher.client.limits == [1, MANY, 2, 1]


async def test_a_small_window_is_kept_to(tmp_path: Path) -> None:
    async with ApnsDouble(tmp_path, initial_window=1000) as apns:
        pusher = await Pusher.open(apns)
        future = pusher.client.send(f"/3/device/{device(1)}", pusher.headers({}), b"x" * 1000, parts=4)
        assert (await asyncio.wait_for(future, PATIENCE)).status == 200
        assert pusher.client.first_window == 1000
        apns.change_settings({INITIAL_WINDOW_SIZE: 10})
        assert (await pusher.push(body=b"{}")).status == 200
        assert pusher.client.first_window == 10
        assert len((await apns.wait_for(2, status=200))[0].body) == 1000


@pytest.mark.parametrize("code", [REFUSED_STREAM, 2, 8])
async def test_a_stream_is_reset_and_the_others_live(apns: ApnsDouble, pusher: Pusher, code: int) -> None:
    await _lifted(pusher)
    apns.script(device(2), [reset(code)])
    outcomes = await _outcomes([pusher.start(device(number)) for number in range(1, 4)])
    assert [type(outcome) for outcome in outcomes] == [Answer, StreamWasReset, Answer]
    assert isinstance(outcomes[1], StreamWasReset)
    assert outcomes[1].args == (code,)
    assert [push.reason for push in apns.received] == ["", "", "reset", ""]


async def test_silence_and_slowness_hold_only_their_own_stream(apns: ApnsDouble, pusher: Pusher) -> None:
    await _lifted(pusher)
    apns.script(device(1), [silence()])
    apns.script(device(2), [slow(0.05)])
    never, later = pusher.start(device(1)), pusher.start(device(2))
    assert (await pusher.push(device(3))).status == 200
    assert (await asyncio.wait_for(later, PATIENCE)).status == 200
    assert not never.done()
    assert {push.push_token for push in apns.accepted[1:]} == {device(2), device(3)}


async def test_the_connection_may_be_cut(apns: ApnsDouble, pusher: Pusher) -> None:
    await _lifted(pusher)
    apns.script(device(2), [drop()])
    outcomes = await _outcomes([pusher.start(device(number)) for number in (2, 3)])
    assert all(isinstance(outcome, ConnectionWasLost) for outcome in outcomes)
    assert not pusher.client.goaways


async def test_goaway_after_the_answer_with_json_and_a_close(apns: ApnsDouble, pusher: Pusher) -> None:
    apns.next(go_away(b'{"reason":"IdleTimeout"}'))
    assert (await pusher.push()).status == 200
    await pusher.client.until_lost()
    assert pusher.client.goaways == [GoAway(0, 1, b'{"reason":"IdleTimeout"}')]


async def test_goaway_may_leave_the_socket_open(apns: ApnsDouble, pusher: Pusher) -> None:
    apns.next(go_away(close="never"))
    assert (await pusher.push(device(1))).status == 200
    unseen = pusher.start(device(2))
    await pusher.client.ping()
    assert not pusher.client.lost.is_set()
    assert not unseen.done()
    assert pusher.client.goaways == [GoAway(0, 1, b"")]
    assert [push.push_token for push in apns.received] == [device(1)]
    apns.drop_connections()
    await pusher.client.until_lost()


async def test_goaway_drains_what_came_before_it(apns: ApnsDouble, pusher: Pusher) -> None:
    await _lifted(pusher)
    apns.script(device(1), [slow(0.05)])
    apns.script(device(2), [go_away(last="this")])
    outcomes = await _outcomes([pusher.start(device(number)) for number in range(1, 5)])
    assert [type(outcome) for outcome in outcomes] == [Answer, Answer, ConnectionWasLost, ConnectionWasLost]
    assert [push.push_token for push in apns.received] == [device(0xFFFF), device(1), device(2)]


async def test_goaway_may_come_instead_of_the_answer(apns: ApnsDouble, pusher: Pusher) -> None:
    await _lifted(pusher)
    apns.script(device(2), [go_away(last="before", code=2)])
    outcomes = await _outcomes([pusher.start(device(number)) for number in range(1, 4)])
    assert [type(outcome) for outcome in outcomes] == [Answer, ConnectionWasLost, ConnectionWasLost]
    [answer] = [outcome for outcome in outcomes if isinstance(outcome, Answer)]
    assert pusher.client.goaways == [GoAway(2, answer.stream, b"")]
    assert apns.received[-1].reason == "goaway"


async def test_goaway_in_the_middle_of_a_thousand_streams(apns: ApnsDouble, pusher: Pusher) -> None:
    await _lifted(pusher)
    apns.at(600, go_away(b'{"reason":"Shutdown"}', last="this"))
    futures = [pusher.start(device(number)) for number in range(MANY)]
    outcomes = await _outcomes(futures)
    answered = [number for number, outcome in enumerate(outcomes) if isinstance(outcome, Answer)]
    assert answered == list(range(600))
    assert [push.push_token for push in apns.accepted[1:]] == [device(number) for number in range(600)]
    assert len(apns.received) == 601
    last = max(outcome.stream for outcome in outcomes if isinstance(outcome, Answer))
    assert pusher.client.goaways == [GoAway(0, last, b'{"reason":"Shutdown"}')]


async def test_goaway_while_a_thousand_wait(apns: ApnsDouble, pusher: Pusher) -> None:
    await _lifted(pusher)
    apns.hold()
    futures = [pusher.start(device(number)) for number in range(MANY)]
    await apns.wait_for(MANY + 1)
    apns.go_away(last_stream=futures_stream(400), close="drained")
    apns.release()
    outcomes = await _outcomes(futures)
    assert sum(isinstance(outcome, Answer) for outcome in outcomes) == 400
    assert len(apns.accepted) == 401
    assert {push.reason for push in apns.received[401:]} == {"gone"}


def futures_stream(place: int) -> int:
    """The stream of the n-th push after the first one, which had stream 1."""
    return 1 + 2 * place


async def test_goaway_without_any_further_answer(apns: ApnsDouble, pusher: Pusher) -> None:
    await _lifted(pusher)
    apns.hold()
    futures = [pusher.start(device(number)) for number in range(20)]
    await apns.wait_for(21)
    apns.go_away(close="at once")
    assert all(isinstance(outcome, ConnectionWasLost) for outcome in await _outcomes(futures))
    assert pusher.client.goaways == [GoAway(0, futures_stream(20), b"")]
    apns.release()
    assert len(apns.accepted) == 1


@pytest.mark.parametrize("garbage", [b"GET / HTTP/1.1\r\n\r\n", b"\0" * 100, ON_STREAM_0, NOT_UTF8])
async def test_what_is_no_http2_harms_only_its_own_connection(apns: ApnsDouble, pusher: Pusher, garbage: bytes) -> None:
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    tls = ssl.create_default_context(cafile=str(apns.ca_file))
    tls.set_alpn_protocols(["h2"])
    reader, writer = await asyncio.open_connection(apns.host, apns.port, ssl=tls)
    writer.write(garbage)
    await asyncio.wait_for(reader.read(), PATIENCE)
    writer.close()
    assert (await pusher.push()).status == 200
    assert complaints == []


async def test_an_outage_and_a_return_on_the_same_port(apns: ApnsDouble, pusher: Pusher) -> None:
    assert (await pusher.push()).status == 200
    port = apns.port
    await apns.close()
    await pusher.client.until_lost()
    with pytest.raises(OSError, match="Connect call failed"):
        await Pusher.open(apns)
    await apns.start()
    assert apns.port == port
    assert (await (await Pusher.open(apns)).push()).status == 200
    assert (len(apns.accepted), apns.handshakes, apns.open_connections) == (2, 2, 1)


async def test_a_taken_port_is_told(apns: ApnsDouble, tmp_path: Path) -> None:
    with pytest.raises(StartRefused, match=f"127.0.0.1:{apns.port} cannot be listened on"):
        await ApnsDouble(tmp_path, port=apns.port).start()


async def test_waiting_in_vain_says_what_came_instead(apns: ApnsDouble, pusher: Pusher) -> None:
    apns.next(reject("BadTopic"))
    await pusher.push()
    with pytest.raises(TimeoutError, match=r"0 of 1 came, 1 in all; the latest: \['abab.* 400 BadTopic'\]"):
        await apns.wait_for(1, status=200, seconds=0.01)


async def test_listeners_hear_of_each_push_once(apns: ApnsDouble, pusher: Pusher) -> None:
    heard: list[str] = []
    apns.on_outcome(lambda push: heard.append(f"{push.status} {push.reason}"))
    apns.next(Behaviour(), reject("BadTopic"), silence())
    await pusher.push()
    await pusher.push()
    pusher.start()
    await apns.wait_for(3)
    assert heard == ["200 ", "400 BadTopic", "0 silent"]


async def test_the_double_needs_no_real_time(tmp_path: Path) -> None:
    clock = ManualClock(1_900_000_000_000)
    async with ApnsDouble(tmp_path, clock=clock) as apns:
        assert (await (await Pusher.open(apns)).push()).status == 200
        assert apns.received[0].at_ms == 1_900_000_000_000


def test_every_prefix_says_what_it_does() -> None:
    assert APNS_PREFIXES["0503"].summary == "ServiceUnavailable, retry-after 1"
    assert APNS_PREFIXES["0777"].summary == "RST_STREAM 7"
    assert APNS_PREFIXES["60aa"].summary == 'GOAWAY {"reason":"Shutdown"} (last: newest)'
    assert APNS_PREFIXES["0222"].summary == "after 2 s"
    assert all(behaviour.summary for behaviour in APNS_PREFIXES.values())
    assert Behaviour().summary == "accepted"

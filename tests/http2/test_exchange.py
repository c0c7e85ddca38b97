"""The wheel of deadlines: one timer for all, nobody before the time, nobody forgotten."""

from __future__ import annotations

import asyncio

from ringback.http2 import Answer, NotSent, Request
from ringback.http2.exchange import Deadlines, Exchange
from tests.http2.server import until

REQUEST = Request(b"/x", ())
ANSWER = Answer(200, (), b"")


def exchange() -> Exchange:
    return Exchange(REQUEST, asyncio.get_running_loop().create_future(), False)


async def test_deadlines_come_due_in_their_order_and_not_before_their_time() -> None:
    loop = asyncio.get_running_loop()
    due: list[tuple[Exchange, float]] = []
    deadlines = Deadlines(loop, lambda late: due.append((late, loop.time())))
    made = {seconds: exchange() for seconds in (0.3, 0.0, 0.15, -1.0)}
    started = loop.time()
    for seconds, late in made.items():
        deadlines.add(late, seconds)
    await until(lambda: len(due) == 4)
    assert [late for late, _ in due[2:]] == [made[0.15], made[0.3]]
    for seconds, late in made.items():
        assert dict(due)[late] >= started + seconds


async def test_what_is_over_does_not_come_due() -> None:
    due: list[Exchange] = []
    deadlines = Deadlines(asyncio.get_running_loop(), due.append)
    answered, failed, late = exchange(), exchange(), exchange()
    for each in (answered, failed, late):
        deadlines.add(each, 0.1)
    assert answered.answer(ANSWER)
    assert failed.fail(NotSent("no"))
    assert not answered.answer(ANSWER)
    assert not failed.fail(NotSent("again"))
    await until(lambda: due)
    assert due == [late]
    assert isinstance(failed.future.exception(), NotSent)


async def test_many_deadlines_take_one_timer() -> None:
    deadlines = Deadlines(asyncio.get_running_loop(), lambda _: None)
    for number in range(1_000):
        deadlines.add(exchange(), 60 + number / 100)
    assert len(deadlines._buckets) <= 202
    assert deadlines._timer is not None
    deadlines.stop()
    assert deadlines._timer.cancelled()

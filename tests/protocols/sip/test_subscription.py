"""A subscription as the one who subscribed sees it (RFC 6665), with a clock that is a number."""

from __future__ import annotations

import pytest

from ringback.protocols.sip.errors import SipMalformed
from ringback.protocols.sip.header_fields import Headers
from ringback.protocols.sip.message import Request, Response, parse_message, response_to
from ringback.protocols.sip.subscription import (
    LINGER_SECONDS,
    Notification,
    Phase,
    Subscriber,
    parse_subscription_state,
)
from ringback.protocols.sip.transactions import NEVER


def subscriber(expires: int = 60) -> Subscriber:
    return Subscriber(
        event="reg",
        target="sip:bob@example.org",
        local="sip:as@example.org",
        call_id="c1",
        tag="ours",
        expires=expires,
        accept="application/reginfo+xml",
    )


def read(message: Request) -> Request:
    message.headers.prepend("Via", "SIP/2.0/UDP p.example.org;branch=z9hG4bKx")
    made = parse_message(message.encode())
    assert isinstance(made, Request)
    return made


def answer(request: Request, status: int = 200, *headers: tuple[str, str], tag: str = "theirs") -> Response:
    made = parse_message(response_to(read(request), status, to_tag=tag, headers=headers).encode())
    assert isinstance(made, Response)
    return made


def notify(
    state: str = "active;expires=60",
    *,
    number: int = 1,
    tag: str = "theirs",
    event: str = "reg",
    body: bytes = b"<reginfo/>",
) -> Request:
    return read(
        Request(
            "NOTIFY",
            "sip:as@192.0.2.1",
            Headers(
                [
                    ("From", f"<sip:bob@example.org>;tag={tag}"),
                    ("To", "<sip:as@example.org>;tag=ours"),
                    ("Call-ID", "c1"),
                    ("CSeq", f"{number} NOTIFY"),
                    ("Event", event),
                    ("Subscription-State", state),
                    ("Contact", "<sip:presence@192.0.2.2:5061>"),
                    ("Content-Type", "application/reginfo+xml"),
                ]
            ),
            body,
        )
    )


TOLD = Notification("active", "", b"<reginfo/>", "application/reginfo+xml")


def test_the_subscribe_names_event_expires_and_what_can_be_read() -> None:
    request = subscriber().subscribe()
    assert request.uri == "sip:bob@example.org"
    assert request.headers.get("Event") == "reg"
    assert request.expires == 60
    assert request.headers.get("Accept") == "application/reginfo+xml"
    assert request.from_tag == "ours"
    assert request.to_tag is None


def test_a_notify_may_come_before_the_answer() -> None:
    one = subscriber()
    first = one.subscribe()
    assert one.notified(notify(), 0.1).told == TOLD
    assert one.phase is Phase.LIVING
    one.accepted(answer(first, 200, ("Expires", "60"), ("Contact", "<sip:else@192.0.2.3>")), 0.2)
    last = one.subscribe(0)
    assert last.to_tag == "theirs"
    assert last.uri == "sip:presence@192.0.2.2:5061"
    assert last.cseq.number == 2


def test_it_is_refreshed_well_before_its_end() -> None:
    one = subscriber()
    one.accepted(answer(one.subscribe(), 200, ("Expires", "40")), 100.0)
    assert one.due == 132.0
    assert not one.is_expired(one.due)
    assert one.subscribe().expires == 60
    one.refresh_again(132.0)
    assert one.due == 136.0
    assert one.is_expired(140.0)


def test_a_notify_can_shorten_it_but_not_lengthen_it() -> None:
    one = subscriber(60)
    one.subscribe()
    one.notified(notify("active;expires=20"), 0.0)
    assert one.due == 15.0
    one.notified(notify("active;expires=99999", number=2), 0.0)
    assert one.due == 48.0


def test_a_notify_of_another_dialog_is_not_ours() -> None:
    one = subscriber()
    one.accepted(answer(one.subscribe()), 0.0)
    assert one.notified(notify(tag="forked"), 0.1).status == 481
    assert one.notified(notify(), 0.1).status == 200


def test_notifies_out_of_order_are_refused_and_told_to_nobody() -> None:
    one = subscriber()
    one.accepted(answer(one.subscribe()), 0.0)
    assert one.notified(notify(number=5), 0.0).told is not None
    judged = one.notified(notify(number=4), 0.0)
    assert (judged.status, judged.told) == (500, None)
    assert one.notified(notify(number=5), 0.0).status == 500
    assert one.notified(notify(number=6), 0.0).status == 200


@pytest.mark.parametrize("event", ["presence", "reg.winfo", "reg;id=7"])
def test_other_events_are_refused(event: str) -> None:
    one = subscriber()
    one.subscribe()
    judged = one.notified(notify(event=event), 0.0)
    assert judged.status == 489
    assert judged.headers == (("Allow-Events", "reg"),)


@pytest.mark.parametrize("state", ["", ";expires=5"])
def test_a_notify_without_a_state_is_malformed(state: str) -> None:
    one = subscriber()
    one.subscribe()
    with pytest.raises(SipMalformed):
        one.notified(notify(state), 0.0)
    assert one.phase is Phase.ASKING


def test_the_end_that_they_make_is_told_once() -> None:
    one = subscriber()
    one.accepted(answer(one.subscribe()), 0.0)
    judged = one.notified(notify("terminated;reason=NoResource", body=b""), 1.0)
    assert judged.told is not None
    assert (judged.told.state, judged.told.reason) == ("terminated", "noresource")
    assert one.phase is Phase.OVER
    assert one.due == NEVER
    assert one.notified(notify("terminated", number=2), 1.1).status == 481
    assert not one.left(2.0), "there is nothing to unsubscribe from"


def test_after_unsubscribing_the_last_notify_gets_its_200_and_is_told_to_nobody() -> None:
    one = subscriber()
    one.accepted(answer(one.subscribe()), 0.0)
    one.notified(notify(), 0.5)
    assert one.left(1.0)
    assert not one.left(1.1)
    assert one.due == 1.0 + LINGER_SECONDS
    assert one.subscribe(0).expires == 0
    assert one.notified(notify("active", number=2), 1.2) == (200, None, ())
    assert one.notified(notify("terminated;reason=timeout", number=3), 1.3) == (200, None, ())
    assert one.notified(notify("terminated;reason=timeout", number=4), 1.4).status == 481


def test_an_answer_that_comes_after_we_left_does_not_bring_it_back() -> None:
    one = subscriber()
    first = one.subscribe()
    one.left(0.5)
    one.accepted(answer(first), 1.0)
    assert one.phase is Phase.LEAVING


def test_an_interval_that_is_too_brief_is_made_longer_once() -> None:
    one = subscriber(60)
    refusal = answer(one.subscribe(), 423, ("Min-Expires", "300"))
    assert one.wants_longer(refusal)
    assert one.subscribe().expires == 300
    assert not one.wants_longer(refusal)
    assert not subscriber().wants_longer(answer(one.subscribe(), 423))
    assert not subscriber().wants_longer(answer(one.subscribe(), 423, ("Min-Expires", "999999")))


def test_the_numbers_go_on_after_a_password_was_asked_for() -> None:
    one = subscriber()
    one.subscribe()
    one.sent(3)
    assert one.subscribe().cseq.number == 4


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("active", ("active", "", None, None)),
        ("Active ;expires=5", ("active", "", 5, None)),
        ("terminated;reason=probation;retry-after=9", ("terminated", "probation", None, 9)),
        ("pending;expires=x", ("pending", "", None, None)),
    ],
)
def test_subscription_state_is_read(value: str, expected: tuple[str, str, int | None, int | None]) -> None:
    assert parse_subscription_state(value) == expected

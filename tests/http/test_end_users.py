"""Addresses for people: who may call them, and by which ways people prove who they are."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar.params import RawBody

from ringback.errors import NotAuthenticated, TooBusy, TooManyAttempts
from ringback.http import Asked, EndUserAuthenticators, Req, principal_of, uds
from ringback.http.app import make_app
from ringback.http.edge import Edge
from ringback.principal import Principal, end_user
from tests.contract.xml import refusal
from tests.http.asgi import LOOPBACK, STRANGER, AsgiAnswer, ask
from tests.http.small_app import FixedUsers

WHO = "/cucm-uds/who"


class Whatever(msgspec.Struct, frozen=True):
    """A body."""


class FixedWay:
    """Lets everybody in whose credentials are a name; remembers from where they came."""

    def __init__(self, scheme: str, raised: Exception | None = None) -> None:
        self._scheme = scheme
        self._raised = raised
        self.seen: list[tuple[str, str]] = []
        self.asked: list[Asked] = []

    @property
    def scheme(self) -> str:
        return self._scheme

    async def challenges(self, asked: Asked) -> tuple[str, ...]:
        self.asked.append(asked)
        return (f'{self._scheme.title()} realm="for {asked.host}"',)

    async def authenticate(self, credentials: str, asked: Asked) -> Principal:
        self.asked.append(asked)
        self.seen.append((credentials, asked.address))
        if self._raised is not None:
            raise self._raised
        return end_user(credentials)


def people_app(*ways: FixedWay) -> Edge:
    @uds.get("/who", operation_id="who", schemes=("basic", "ticket"))
    async def who(request: Req) -> str:
        principal = principal_of(request)
        return f"{principal.kind} {principal.name} {principal.role}"

    @uds.put("/who", operation_id="putWho", request=Whatever)
    async def put_who(body: RawBody) -> str:
        return body.decode()

    app = make_app(
        [who, put_who], authenticator=FixedUsers(), end_users=EndUserAuthenticators(*ways), body_limit_bytes=1024
    )
    return Edge(app, trusted_proxies="", hosts=None)


def authorization(value: str) -> dict[str, str]:
    return {"Authorization": value}


def code(answer: AsgiAnswer) -> str:
    assert answer.headers["content-type"] == "application/xml"
    return refusal(answer.content)["code"]


async def test_each_scheme_has_its_way() -> None:
    basic, ticket = FixedWay("basic"), FixedWay("ticket")
    app = people_app(basic, ticket)
    for value, expected in (("Basic jan", "jan"), ("bAsIc   jan ", "jan"), ("Ticket eva", "eva")):
        answer = await ask(app, WHO, headers=authorization(value))
        assert (answer.status, answer.content.decode()) == (200, f"user {expected} user")
    assert basic.seen == [("jan", LOOPBACK)] * 2
    assert ticket.seen == [("eva", LOOPBACK)]
    for value in ("Bearer jan", "Basicjan", "jan", ""):
        refused = await ask(app, WHO, headers=authorization(value))
        assert (refused.status, code(refused)) == (401, "HTTP_401")
        assert refused.headers["www-authenticate"].startswith("Basic ")
    assert (await ask(app, WHO)).status == 401


async def test_who_proves_nothing_is_told_every_way_that_the_address_takes() -> None:
    basic, ticket = FixedWay("basic"), FixedWay("ticket")
    app = people_app(ticket, basic)
    refused = await ask(app, WHO + "?a=%20b", headers={"Host": "Push.Example.ORG:8080"})
    both = 'Ticket realm="for push.example.org", Basic realm="for push.example.org"'
    assert (refused.status, refused.headers["www-authenticate"]) == (401, both)
    assert ticket.asked == [Asked(LOOPBACK, "GET", "/cucm-uds/who?a=%20b", "push.example.org")]
    json = {"Content-Type": "application/xml", "Host": "x"}
    refused = await ask(app, WHO, method="PUT", headers=json, body=b"<a/>")
    assert refused.headers["www-authenticate"] == 'Basic realm="for x"'
    refused = await ask(app, WHO, method="PUT", headers={**json, **authorization("Ticket eva")}, body=b"<a/>")
    assert (refused.status, ticket.seen) == (401, []), "this address does not take tickets"


async def test_a_way_that_refuses_says_itself_how_to_go_on() -> None:
    ticket = FixedWay("ticket", NotAuthenticated(challenges=("Ticket again", "Ticket otherwise")))
    app = people_app(ticket, FixedWay("basic"))
    refused = await ask(app, WHO, headers={**authorization("Ticket eva"), "Host": "x"})
    assert refused.headers["www-authenticate"] == 'Ticket again, Ticket otherwise, Basic realm="for x"'


async def test_system_users_are_no_people() -> None:
    for app in (people_app(), people_app(FixedWay("ticket"))):
        assert (await ask(app, WHO, headers=authorization("Basic am9lOmpvZQ=="))).status == 401


async def test_passwords_of_people_come_over_tls_or_from_here() -> None:
    way = FixedWay("basic")
    app = people_app(way)
    refused = await ask(app, WHO, headers=authorization("Basic jan"), peer=STRANGER)
    assert (refused.status, way.seen) == (401, [])
    assert (await ask(app, WHO, headers=authorization("Basic jan"), peer=STRANGER, scheme="https")).status == 200
    assert way.seen == [("jan", STRANGER)]


async def test_pages_of_other_sites_change_nothing() -> None:
    headers = {**authorization("Basic jan"), "Sec-Fetch-Site": "cross-site", "Content-Type": "application/xml"}
    refused = await ask(people_app(FixedWay("basic")), WHO, method="PUT", headers=headers, body=b"<a/>")
    assert (refused.status, code(refused)) == (403, "HTTP_403")


async def test_refusals_say_when_to_come_back() -> None:
    raised: tuple[tuple[Exception, int, str | None], ...] = (
        (TooManyAttempts(), 429, "60"),
        (TooBusy(), 503, "1"),
        (NotAuthenticated(), 401, None),
    )
    for error, status, retry_after in raised:
        answer = await ask(people_app(FixedWay("basic", error)), WHO, headers=authorization("Basic jan"))
        assert (answer.status, answer.headers.get("retry-after")) == (status, retry_after)
        assert code(answer)


async def test_bodies_are_xml_in_utf_8() -> None:
    app = people_app(FixedWay("basic"))

    async def put(kind: str) -> Any:
        headers = {**authorization("Basic jan"), "Content-Type": kind}
        return await ask(app, WHO, method="PUT", headers=headers, body=b"<a/>")

    for kind in ("application/xml", "text/xml", "TEXT/XML; charset=UTF-8", 'text/xml;charset="utf-8"', "text/xml; v=1"):
        assert (await put(kind)).status == 200, kind
    for kind in ("application/json", "text/plain", "", "text/xml; charset=latin-1", "application/soap+xml"):
        refused = await put(kind)
        assert (refused.status, refusal(refused.content)["field"]) == (400, "Content-Type"), kind


async def test_errors_are_xml_whatever_the_values_are() -> None:
    answer = await ask(people_app(), '/cucm-uds/<&"\x01>')
    assert (answer.status, code(answer)) == (404, "ERROR_NOT_FOUND")

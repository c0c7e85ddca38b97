"""HTTP Basic: who is refused learns nothing from how."""

from __future__ import annotations

import base64

from tests.contract.raw import RawAnswer, request_bytes, send
from tests.peers.server import basic
from tests.served import Served

PATH = "/powerauth-cloud/v2/registrations?userId=u"


async def ask(served: Served, authorization: str | None) -> RawAnswer:
    headers = {} if authorization is None else {"Authorization": authorization}
    return await send(served.internal, request_bytes("GET", PATH, headers))


def visible(answer: RawAnswer) -> tuple[int, bytes, dict[str, str]]:
    return answer.status, answer.content, {name: value for name, value in answer.headers.items() if name != "date"}


def encoded(text: bytes) -> str:
    return "Basic " + base64.b64encode(text).decode()


async def test_unknown_user_and_wrong_password_look_the_same(served: Served) -> None:
    known, password = served.integration.login, served.integration.password
    wrong = [
        await ask(served, basic(known, "wrong")),
        await ask(served, basic(known, "")),
        await ask(served, basic(known, password + "x")),
        await ask(served, basic(known, password.swapcase())),
        await ask(served, basic("no-such-user", "wrong")),
        await ask(served, basic("no-such-user", password)),
        await ask(served, basic(known.upper(), password)),
        await ask(served, basic("root", password)),
    ]
    assert {one.status for one in wrong} == {401}
    assert all(visible(one) == visible(wrong[0]) for one in wrong)
    assert wrong[0].headers["www-authenticate"] == 'Basic realm="Ringback", charset="UTF-8"'
    assert wrong[0].json["responseObject"]["code"] == "HTTP_401"
    assert (await ask(served, served.integration.header)).status == 200


async def test_malformed_credentials(served_sqlite: Served) -> None:
    for text in (
        "", "Basic", "Basic ", "Basic !!!", "Basic " + "A" * 5_000, "Bearer abc", "Digest username=x", "basic",
        encoded(b"no colon"), encoded(b":"), encoded(b":x"), encoded(b"\xff\xfe:x"), encoded(b"a\x00b:c"),
        "Basic " + "=" * 10, "Negotiate YII=", "Basic " + "\xe9" * 8,
    ):  # fmt: skip
        answer = await ask(served_sqlite, text)
        assert answer.status == 401, text
        assert answer.json["responseObject"]["code"] == "HTTP_401"
        assert answer.headers["www-authenticate"].startswith("Basic ")


async def test_scheme_in_any_case(served_sqlite: Served) -> None:
    header = served_sqlite.integration.header
    for scheme in ("basic", "BASIC"):
        assert (await ask(served_sqlite, scheme + header[5:])).status == 200


async def test_no_password_is_asked_before_the_address_is_known(served_sqlite: Served) -> None:
    """401 for a known address and 404 for an unknown one: the list of addresses is public, who may use them is not."""
    assert (await ask(served_sqlite, None)).status == 401
    nothing = await send(served_sqlite.internal, request_bytes("GET", "/powerauth-cloud/v2/nothing", {}))
    assert nothing.status == 404


async def test_two_authorization_headers_are_not_joined(served_sqlite: Served) -> None:
    """Whichever counts, a wrong one beside a right one never names somebody else."""
    right, wrong = served_sqlite.integration.header, basic("root", "x")
    for pair in ((right, wrong), (wrong, right)):
        request = request_bytes("GET", PATH, {"Authorization": pair[0]})
        request = request.replace(b"\r\n\r\n", f"\r\nAuthorization: {pair[1]}\r\n\r\n".encode(), 1)
        assert (await send(served_sqlite.internal, request)).status in {200, 400, 401}

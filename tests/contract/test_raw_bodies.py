"""Bodies that are no JSON, too much, or a lie: a refusal in the API's own shape, nothing stored, nothing shown."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from tests.contract.raw import RawAnswer, chunked, request_bytes, send
from tests.served import Served

LIMIT = 262_144
REGISTRATIONS = "/powerauth-cloud/v2/registrations"
OPERATIONS = "/powerauth-cloud/v2/operations"
TEMPLATES = "/api/v1/operation-templates"
KEYSTORE = "/enrollment-server/pa/v3/keystore/create"
PUSH = "/enrollment-server/api/push/device/register"
ADDRESSES = [REGISTRATIONS, OPERATIONS, TEMPLATES, "/powerauth-cloud/admin/users", KEYSTORE]

VALID = b'{"userId":"u","appId":"bank"}'
BAD_BODIES = {
    "nothing": b"",
    "white space": b"  \r\n",
    "no JSON": b"userId=u",
    "half of it": b'{"userId":"u",',
    "two values": VALID + VALID,
    "invalid UTF-8": b'{"userId":"\xff\xfe","appId":"bank","username":"\xff","template":"\xff"}',
    "overlong UTF-8": b'{"userId":"\xc0\xaf","appId":"bank","username":"\xc0\xaf","template":"\xc0\xaf"}',
    "surrogate in UTF-8": b'{"userId":"\xed\xa0\x80","username":"\xed\xa0\x80","template":"\xed\xa0\x80"}',
    "byte order mark": b"\xef\xbb\xbf" + VALID,
    "UTF-16": VALID.decode().encode("utf-16"),
    "deep list": b"[" * 10_000,
    "deep object": b'{"a":' * 10_000,
    "deep and closed": b"[" * 10_000 + b"]" * 10_000,
    "deep in an unknown field": b'{"x":' + b"[" * 10_000 + b"]" * 10_000 + b"}",
    "list": b"[]",
    "text": b'"u"',
    "number": b"1",
    "huge number": b"1" * 10_000,
    "huge exponent": b"1e999999999",
    "not a number": b"NaN",
    "null": b"null",
    "NUL byte": b'{"userId":"u\x00","appId":"bank","username":"u\x00","template":"login\x00"}',
    "NUL alone": b"\x00",
    "lone surrogate": rb'{"userId":"\ud800","appId":"bank","username":"\ud800","template":"\ud800"}',
    "lone surrogate in a name": rb'{"\udc00":1,"userId":7}',
    "wrong types": b'{"userId":{},"appId":[],"username":1,"template":true,"id":null}',
}
READ_AS_UNKNOWN_FIELDS = {"NUL byte", "lone surrogate", "lone surrogate in a name", "wrong types"}


@pytest.fixture
async def counts(served_sqlite: Served, tmp_path: Path) -> RowCounts:
    assert served_sqlite.app, "the rows are counted once everything is furnished"
    return RowCounts(tmp_path / "ringback.db")


class RowCounts:
    """How many rows each table holds."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.before = self.now()

    def now(self) -> dict[str, int]:
        with sqlite3.connect(self._path) as connection:
            names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
            return {name: connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for (name,) in names}

    def assert_unchanged(self) -> None:
        assert self.now() == self.before


class Sender:
    """Sends raw bodies with the right credentials for the address."""

    def __init__(self, served: Served) -> None:
        self._served = served

    def request(self, path: str, body: bytes, method: str = "POST", **headers: str) -> bytes:
        fields = {"Content-Type": "application/json", **{k.replace("_", "-"): v for k, v in headers.items()}}
        if not path.startswith("/enrollment-server"):
            is_admin = path.startswith(("/api/v1", "/powerauth-cloud/admin"))
            fields["Authorization"] = (self._served.admin if is_admin else self._served.integration).header
        return request_bytes(method, path, fields, body)

    def base(self, path: str) -> str:
        return self._served.public if path.startswith("/enrollment-server") else self._served.internal

    async def post(self, path: str, body: bytes, **headers: str) -> RawAnswer:
        return await send(self.base(path), self.request(path, body, **headers))


@pytest.fixture
def sender(served_sqlite: Served) -> Sender:
    return Sender(served_sqlite)


def assert_refused(answer: RawAnswer, path: str, *statuses: int) -> None:
    """A refusal with one of the statuses (400 if none is given), in the shape of the path's API."""
    assert answer.status in (statuses or (400,)), (path, answer)
    shown = answer.json
    if path.startswith(("/powerauth-cloud", "/enrollment-server")):
        assert answer.headers["content-type"] == "application/json"
        assert set(shown) == {"status", "responseObject"}
        assert shown["status"] == "ERROR"
        assert {"code", "message"} <= set(shown["responseObject"]) <= {"code", "message", "violations"}
        assert shown["responseObject"]["message"]
    else:
        assert answer.headers["content-type"] == "application/problem+json"
        assert {"title", "status", "detail", "code"} <= set(shown)
        assert shown["status"] == answer.status
    lowered = answer.content.lower()
    for leak in (b"traceback", b'file \\"', b".py", b"msgspec", b"litestar", b"sqlite", b"exception"):
        assert leak not in lowered, (path, answer.content)


async def test_every_bad_body_is_refused_everywhere(sender: Sender, counts: RowCounts) -> None:
    for path in ADDRESSES:
        for name, body in BAD_BODIES.items():
            answer = await sender.post(path, body)
            try:
                assert_refused(answer, path)
            except AssertionError as error:
                raise AssertionError(f"{name} to {path}: {answer}") from error
    counts.assert_unchanged()


async def test_bad_bodies_where_the_body_may_be_absent(served_sqlite: Served, sender: Sender) -> None:
    created = await served_sqlite.call("POST", REGISTRATIONS, {"userId": "u", "appId": "bank"})
    path = f"{REGISTRATIONS}/{created.body['registrationId']}"
    counts = await _detail(served_sqlite, path)
    for name, body in BAD_BODIES.items():
        if not body.strip() or name in READ_AS_UNKNOWN_FIELDS:
            continue
        for method, target in (("POST", path + "/commit"), ("PUT", path), ("DELETE", path)):
            answer = await send(sender.base(path), sender.request(target, body, method))
            assert answer.status == 400, (name, method, answer)
    assert await _detail(served_sqlite, path) == counts


async def _detail(served: Served, path: str) -> dict[str, object]:
    shown = (await served.call("GET", path)).body
    return {name: value for name, value in shown.items() if not name.startswith("activation")}  # ECDSA is randomised


OUT_OF_RANGE = [
    ("userId", ""),
    ("userId", "x" * 256),
    ("userId", "x" * 100_000),
    ("userId", r"a\u0000b"),
    ("appId", r"bank\u0000"),
    ("flags", [r"\u0000"]),
    ("flags", ["x"] * 101),
    ("timestampRegistrationExpire", -1),
    ("timestampRegistrationExpire", 2**63),
    ("timestampRegistrationExpire", 10**400),
    ("timestampRegistrationExpire", 1.5),
    ("commitPhase", "SOMETIME"),
]


async def test_field_out_of_range_is_named(sender: Sender, counts: RowCounts) -> None:
    for field, value in OUT_OF_RANGE:
        fields = {"userId": '"u"', "appId": '"bank"'} | {field: _literal(value)}
        body = "{" + ",".join(f'"{name}":{text}' for name, text in fields.items()) + "}"
        answer = await sender.post(REGISTRATIONS, body.encode())
        assert_refused(answer, REGISTRATIONS)
        assert answer.json["responseObject"]["code"] == "ERROR_REQUEST"
        [violation] = answer.json["responseObject"]["violations"]
        assert violation["fieldName"].partition("[")[0] in {field, "body"}
        assert violation["hint"]
    counts.assert_unchanged()


def _literal(value: object) -> str:
    """JSON with the escapes of a text left as they stand."""
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, list):
        return "[" + ",".join(_literal(item) for item in value) + "]"
    return str(value)


async def test_duplicate_names_are_read_once(served_sqlite: Served, sender: Sender) -> None:
    """Whichever of two values counts, it is checked: a good one does not carry a bad one past the limits."""
    answer = await sender.post(REGISTRATIONS, b'{"userId":"first","userId":"last","appId":"bank"}')
    assert answer.status == 200
    users = {}
    for user in ("first", "last"):
        listed = await served_sqlite.call("GET", f"{REGISTRATIONS}?userId={user}")
        users[user] = len(listed.body["registrations"])
    assert users == {"first": 0, "last": 1}
    for pair in (b'"userId":1,"userId":"u"', b'"userId":"u","userId":1'):
        refused = await sender.post(REGISTRATIONS, b"{" + pair + b',"appId":"bank"}')
        assert_refused(refused, REGISTRATIONS)


async def test_wrong_content_type(sender: Sender, counts: RowCounts) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "", "json"):
        for path in ADDRESSES:
            assert_refused(await sender.post(path, VALID, Content_Type=kind), path)
    counts.assert_unchanged()


async def test_content_types_that_are_json(sender: Sender) -> None:
    for kind in ("application/json; charset=utf-8", "APPLICATION/JSON", "application/vnd.bank+json"):
        assert (await sender.post(REGISTRATIONS, VALID, Content_Type=kind)).status == 200


async def test_oversize_body(sender: Sender, counts: RowCounts) -> None:
    body = b'{"userId":"' + b"x" * LIMIT + b'"}'
    pieces = [body[at : at + 8192] for at in range(0, len(body), 8192)]
    for path in (*ADDRESSES, PUSH):
        assert_refused(await sender.post(path, body), path, 413)
        assert_refused(await sender.post(path, b"", Content_Length=str(10**12)), path, 413)
        request = sender.request(path, chunked(*pieces), Transfer_Encoding="chunked")
        assert_refused(await send(sender.base(path), request), path, 413)
    counts.assert_unchanged()


async def test_body_of_the_largest_size_is_read(sender: Sender) -> None:
    body = VALID[:-1] + b',"x":"' + b"y" * (LIMIT - len(VALID) - 7) + b'"}'
    assert len(body) == LIMIT
    assert (await sender.post(REGISTRATIONS, body)).status == 200


async def test_length_that_is_a_lie(served_sqlite: Served, sender: Sender, counts: RowCounts) -> None:
    """Fewer bytes than promised: no answer is owed, nothing may be stored. More: the rest is no second request."""
    base = served_sqlite.internal
    short = sender.request(REGISTRATIONS, VALID, Content_Length=str(len(VALID) + 10))
    assert (await send(base, short, close_after=True)).status in {0, 400}
    counts.assert_unchanged()
    for lie in ("-1", "x", "1, 2", "0x10", "99999999999999999999999"):
        answer = await send(base, sender.request(REGISTRATIONS, VALID, Content_Length=lie), close_after=True)
        assert answer.status in {0, 400, 413}, (lie, answer)
    both = sender.request(REGISTRATIONS, chunked(VALID), Content_Length="5", Transfer_Encoding="chunked")
    assert (await send(base, both, close_after=True)).status in {0, 400}
    counts.assert_unchanged()


async def test_broken_chunks(served_sqlite: Served, sender: Sender, counts: RowCounts) -> None:
    for size in ("zz", "-5", "FFFFFFFFFFFFFFFFFF"):
        body = size.encode() + b"\r\n" + VALID + b"\r\n0\r\n\r\n"
        request = sender.request(REGISTRATIONS, body, Transfer_Encoding="chunked")
        assert (await send(served_sqlite.internal, request, close_after=True)).status in {0, 400, 413}
    counts.assert_unchanged()


async def test_the_server_is_well_after_all_that(sender: Sender) -> None:
    for body in BAD_BODIES.values():
        await sender.post(REGISTRATIONS, body)
    assert (await sender.post(REGISTRATIONS, VALID)).status == 200

"""The claims of users, as a back end stores them."""

from __future__ import annotations

from functools import reduce
from typing import Any

import pytest

from tests.served import Served

CLAIMS = "/api/v1/apps/bank/users/jan/claims"
JAN = {
    "name": "Jan Novák",
    "email": "jan@example.com",
    "email_verified": True,
    "birthdate": "0000-11-21",
    "address": {"locality": "Praha", "country": "CZ"},
    "updated_at": 1_700_000_000,
    "https://bank.example/tariff": {"colour": ["gold", None, 7.5]},
}
DEEP = reduce(lambda inner, _: [inner], range(500), 0)
"""Few enough lists in each other to be read, too many to be walked."""


async def test_claims_are_stored_replaced_and_forgotten(served: Served) -> None:
    assert (await served.call("GET", CLAIMS)).status == 404
    stored = await served.call("PUT", CLAIMS, {"claims": JAN})
    assert (stored.status, stored.body["claims"]) == (200, JAN)
    read = await served.call("GET", CLAIMS)
    assert (read.status, read.body) == (200, stored.body)
    assert abs(read.body["updatedAt"] - served.installation.clock.now_ms()) < 60_000
    assert (await served.call("PUT", CLAIMS, {"claims": {"nickname": "J"}})).status == 200
    assert (await served.call("GET", CLAIMS)).body["claims"] == {"nickname": "J"}
    assert (await served.call("GET", CLAIMS.replace("jan", "eva"))).status == 404
    assert (await served.call("DELETE", CLAIMS)).body == {"status": "OK"}
    for method in ("GET", "DELETE"):
        answer = await served.call(method, CLAIMS)
        assert (answer.status, answer.body["detail"]) == (404, "There are no claims of this user.")


@pytest.mark.parametrize(
    ("claims", "field"),
    [
        ({"email_verified": "yes"}, "claims.email_verified"),
        ({"name": None}, "claims.name"),
        ({"name": 7}, "claims.name"),
        ({"name": "x" * 1025}, "claims.name"),
        ({"birthdate": "21.11.2000"}, "claims.birthdate"),
        ({"address": "Praha"}, "claims.address"),
        ({"address": {"country": 420}}, "claims.address.country"),
        ({"updated_at": -1}, "claims.updated_at"),
        ({"sub": "eva"}, "claims.sub"),
        ({"note": "x" * 8192}, "claims"),
        ({"a\0b": "x"}, "body"),
        ({"note": ["\0"]}, "body"),
        ({"": "x"}, "claims"),
        ({f"claim{n}": n for n in range(101)}, "claims"),
        ({"deep": DEEP}, "body"),
        ({"deep": DEEP, "note": "\0"}, "body"),
        ([], "claims"),
        (None, "claims"),
    ],
)
async def test_wrong_claims_are_refused_by_name(served_sqlite: Served, claims: Any, field: str) -> None:
    answer = await served_sqlite.call("PUT", CLAIMS, {"claims": claims})
    assert answer.status == 400, claims
    assert answer.body["violations"][0]["fieldName"] == field
    assert (await served_sqlite.call("GET", CLAIMS)).status == 404


async def test_a_user_id_that_is_too_long_is_refused(served_sqlite: Served) -> None:
    for method, body in (("GET", None), ("PUT", {"claims": {}}), ("DELETE", None)):
        answer = await served_sqlite.call(method, f"/api/v1/apps/bank/users/{'x' * 256}/claims", body)
        assert (answer.status, answer.body["violations"][0]["fieldName"]) == (400, "userId")


async def test_an_admin_sees_no_users_until_given_access_to_the_app(served_sqlite: Served) -> None:
    assert (await served_sqlite.call("PUT", CLAIMS, {"claims": JAN})).status == 200
    assert (await served_sqlite.call("GET", CLAIMS, auth=served_sqlite.admin)).status == 400
    path = f"/powerauth-cloud/admin/users/{served_sqlite.admin.login}/applications/bank"
    assert (await served_sqlite.call("POST", path, auth=served_sqlite.admin)).status == 200
    assert (await served_sqlite.call("GET", CLAIMS, auth=served_sqlite.admin)).body["claims"] == JAN

"""The configuration of an app: known keys, checked values, sealed at rest, secrets shown never again."""

from __future__ import annotations

from typing import Any

import pytest

from ringback.store import Query, Tx
from tests.served import Answer, Served

PATH = "/powerauth-cloud/admin/applications/bank/config"
PROVIDER = {
    "providerId": "example",
    "clientId": "mobile",
    "clientSecret": "top secret",
    "issuerUri": "https://issuer.example.com/",
    "redirectUri": "mtoken://oidc",
}
CUSTOM = {"url": "https://bank.example.com/who", "username": "ringback", "password": "hidden"}
_sealed = Query("sealed", "Test.", "SELECT value_sealed FROM app_configuration", row=bytes)
_audit = Query("audit", "Test.", "SELECT action, details FROM audit_log WHERE subject_kind = 'app' ORDER BY id")


async def put(served: Served, key: str, values: Any, path: str = PATH) -> Answer:
    return await served.call("POST", path, {"key": key, "values": values}, auth=served.admin)


async def shown(served: Served) -> Any:
    return (await served.call("GET", PATH, auth=served.admin)).body


async def value(served: Served, key: str) -> Any:
    return await served.installation.store.read(served.rooms.apps.configuration, "bank", key)


async def every(tx: Tx, query: Query[Any]) -> list[Any]:
    return await tx.all(query)


async def test_what_was_set_is_read_by_other_rooms_and_shown_without_secrets(served: Served) -> None:
    assert await value(served, "oauth2_providers") is None
    assert (await put(served, "oauth2_providers", [PROVIDER])).status == 200
    assert (await put(served, "custom_activation", CUSTOM)).body["values"]["password"] == "******"
    assert (await put(served, "activation_spawn", ["bank"])).body == {"key": "activation_spawn", "values": ["bank"]}
    assert (await put(served, "recovery", {"enabled": True})).status == 200
    assert await value(served, "oauth2_providers") == [PROVIDER]
    assert await value(served, "custom_activation") == CUSTOM
    assert await value(served, "activation_spawn") == ["bank"]
    assert await value(served, "recovery") == {"enabled": True}
    assert await shown(served) == {
        "applicationId": "bank",
        "applicationConfigs": [
            {"key": "activation_spawn", "values": ["bank"]},
            {"key": "custom_activation", "values": {**CUSTOM, "password": "******"}},
            {"key": "oauth2_providers", "values": [{**PROVIDER, "clientSecret": "******"}]},
            {"key": "recovery", "values": {"enabled": True}},
        ],
    }


async def test_values_are_sealed_and_the_audit_names_only_the_key(served: Served) -> None:
    await put(served, "oauth2_providers", [PROVIDER])
    await served.call("DELETE", f"{PATH}/oauth2_providers", auth=served.admin)
    await put(served, "oauth2_providers", [PROVIDER])
    store = served.installation.store
    assert all(b"top secret" not in bytes(one) for one in await store.read(every, _sealed))
    rows = [(action, details) for action, details in await store.read(every, _audit) if "configur" in action]
    assert [action for action, _ in rows] == ["app.configure", "app.configuration_removed", "app.configure"]
    assert all("top secret" not in details and "oauth2_providers" in details for _, details in rows)


async def test_a_key_is_replaced_and_removed(served: Served) -> None:
    await put(served, "recovery", {"enabled": True})
    await put(served, "recovery", {"enabled": False})
    assert await value(served, "recovery") == {"enabled": False}
    for _ in range(2):  # again is no change
        assert (await served.call("DELETE", f"{PATH}/recovery", auth=served.admin)).body == {"status": "OK"}
    assert await value(served, "recovery") is None
    assert (await shown(served))["applicationConfigs"] == []


@pytest.mark.parametrize(
    ("key", "values", "field"),
    [
        ("no_such_key", [], "key"),
        ("oauth2_providers", {}, "values"),
        ("oauth2_providers", [{**PROVIDER, "clientId": 1}], "values[0].clientId"),
        ("oauth2_providers", [{**PROVIDER, "clientSecret": "******"}], "values[0].clientSecret"),
        ("oauth2_providers", [{**PROVIDER, "pkce": True}], "values[0]"),
        ("oauth2_providers", [PROVIDER, PROVIDER], "values[1].providerId"),
        ("oauth2_providers", [{**PROVIDER, "issuerUri": "http://issuer.example.com"}], "values[0].issuerUri"),
        ("oauth2_providers", [{**PROVIDER, "issuerUri": "https://127.0.0.1/"}], "values[0].issuerUri"),
        ("oauth2_providers", [{**PROVIDER, "tokenUri": "https://10.0.0.1/"}], "values[0].tokenUri"),
        ("oauth2_providers", [{**PROVIDER, "jwkSetUri": "https://a:b@example.com/"}], "values[0].jwkSetUri"),
        ("oauth2_providers", [{**PROVIDER, "signatureAlgorithm": "none"}], "values[0].signatureAlgorithm"),
        ("oauth2_providers", [{**PROVIDER, "signatureAlgorithm": "HS256"}], "values[0].signatureAlgorithm"),
        ("custom_activation", {"url": "ftp://example.com"}, "values.url"),
        ("custom_activation", {**CUSTOM, "username": "a:b"}, "values.username"),
        ("custom_activation", None, "values"),
        ("activation_spawn", ["bank", "none"], "values[1]"),
        ("activation_spawn", "bank", "values"),
        ("recovery", {"enabled": "yes"}, "values.enabled"),
        ("recovery", {}, "values"),
    ],
)
async def test_a_wrong_value_is_refused_and_named(served_sqlite: Served, key: str, values: Any, field: str) -> None:
    answer = await put(served_sqlite, key, values)
    assert (answer.status, answer.body["responseObject"]["code"]) == (400, "ERROR_REQUEST")
    assert answer.body["responseObject"]["violations"][0]["fieldName"] == field
    assert (await shown(served_sqlite))["applicationConfigs"] == []


async def test_an_unknown_key_lists_the_known_ones(served_sqlite: Served) -> None:
    answer = await put(served_sqlite, "oauth2_provider", [])
    for known in ("activation_spawn", "custom_activation", "oauth2_providers", "recovery"):
        assert known in answer.body["responseObject"]["message"]
    assert (await served_sqlite.call("DELETE", f"{PATH}/oauth2", auth=served_sqlite.admin)).status == 400


async def test_an_unknown_app_is_refused(served_sqlite: Served) -> None:
    path = "/powerauth-cloud/admin/applications/none/config"
    assert (await put(served_sqlite, "recovery", {"enabled": True}, path)).status == 400
    assert (await served_sqlite.call("GET", path, auth=served_sqlite.admin)).status == 400
    assert (await served_sqlite.call("DELETE", f"{path}/recovery", auth=served_sqlite.admin)).status == 400

"""The push credentials of an app over both APIs: stored sealed, shown without secrets, replaced, cleared."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import msgspec
import pytest

from ringback.errors import SealBroken
from ringback.push import ApnsTokenKey, FcmServiceAccount, StoredCredential
from ringback.store import Query, Tx
from tests.apps.push_files import (
    BUNDLE_ID,
    DAY,
    apns_form,
    base64_of,
    certificate,
    fcm_form,
    p12_of,
    p256,
    pem,
    rsa_key,
)
from tests.contract import sdk_guide
from tests.served import Answer, Served

PATH = "/api/v1/apps/bank/push-credentials"
CLOUD = "/powerauth-cloud/admin/applications/bank/push"
CLOUD_APNS = {
    "topic": BUNDLE_ID,
    "keyId": "73Q8JZND1V",
    "teamId": "D7A3215KHV",
    "environment": "development",
    "privateKeyBase64": base64_of(pem(p256())),
}
CLOUD_FCM = {"projectId": "kitchensink-demo-app", "privateKeyBase64": fcm_form()["serviceAccount"]}
_rows = Query("rows", "Test.", "SELECT public, secret_sealed, id FROM push_credentials")
_audit = Query("audit", "Test.", "SELECT action, details FROM audit_log WHERE action LIKE 'app.push%' ORDER BY id")


async def every(tx: Tx, query: Query[Any]) -> list[Any]:
    return await tx.all(query)


async def ask(served: Served, method: str, path: str = "", body: Any = None, **options: Any) -> Answer:
    return await served.call(method, PATH + path, body, auth=served.admin, **options)


async def cloud(served: Served, method: str, path: str, body: Any = None) -> Answer:
    return await served.call(method, CLOUD + path, body, auth=served.admin)


async def shown(served: Served) -> dict[str, Any]:
    answer = await ask(served, "GET")
    assert answer.status == 200
    return {one["kind"]: one for one in answer.body["items"]}


async def live(served: Served, kind: Any) -> StoredCredential | None:
    """What a provider gets."""
    return await served.rooms.push.live_credentials.load("bank", kind)


async def test_each_kind_is_stored_and_shown_without_its_secret(served: Served) -> None:
    assert await shown(served) == {}
    apns = await ask(served, "PUT", "/apns", apns_form())
    assert (apns.status, apns.body["form"], apns.body["status"]) == (200, "tokenKey", "OK")
    assert (await ask(served, "PUT", "/fcm", fcm_form())).status == 200
    web_push = await ask(served, "PUT", "/webpush", {"subject": "mailto:push@example.com"})
    assert len(web_push.body["publicKey"]) == 87
    stored = await shown(served)
    assert list(stored) == ["apns", "fcm", "webpush"]
    assert stored["apns"] == apns.body
    assert stored["apns"]["keyId"] == "73Q8JZND1V"
    assert stored["apns"]["teamId"] == "D7A3215KHV"
    assert stored["apns"]["bundleId"] == BUNDLE_ID
    assert len(stored["apns"]["fingerprint"]) == 64
    assert stored["fcm"]["projectId"] == "kitchensink-demo-app"
    assert stored["fcm"]["clientEmail"].startswith("firebase-adminsdk")
    text = json.dumps(stored)
    assert "PRIVATE" not in text
    for public, sealed, _ in await served.installation.store.read(every, _rows):
        assert "PRIVATE" not in public
        assert b"PRIVATE" not in bytes(sealed)


@pytest.mark.parametrize(("path", "printed"), [("/apns", sdk_guide.APNS), ("/fcm", sdk_guide.FCM)])
async def test_what_the_guide_prints_is_taken_when_its_key_is_not_damaged(
    served_sqlite: Served, path: str, printed: str
) -> None:
    """The JSON of the guide byte for byte; only the damaged key is another one."""
    headers = {"Content-Type": "application/json"}
    damaged = json.loads(printed)
    field = "keyFile" if path == "/apns" else "serviceAccount"
    refused = await ask(served_sqlite, "PUT", path, data=printed.encode(), headers=headers)
    assert refused.status == 400
    named = refused.body["violations"][0]["fieldName"]
    assert named == ("keyFile" if path == "/apns" else "serviceAccount.private_key")
    assert await shown(served_sqlite) == {}
    good = apns_form()["keyFile"] if path == "/apns" else fcm_form()["serviceAccount"]
    taken = await ask(served_sqlite, "PUT", path, data=printed.replace(damaged[field], good).encode(), headers=headers)
    assert taken.status == 200
    assert (await shown(served_sqlite))[path[1:]] == taken.body


async def test_adding_one_overrides_the_previous_of_its_kind_at_once(served: Served) -> None:
    await ask(served, "PUT", "/apns", apns_form())
    before = await live(served, "apns")
    assert before is not None
    assert isinstance(before.credential, ApnsTokenKey)
    await ask(served, "PUT", "/apns", apns_form(keyId="ABCDEFGHIJ", environment="development"))
    after = await live(served, "apns")
    assert after is not None
    assert isinstance(after.credential, ApnsTokenKey)
    assert (after.credential.key_id, after.credential.environment) == ("ABCDEFGHIJ", "development")
    assert after.id != before.id
    assert after.version > before.version
    made = certificate()
    await ask(served, "PUT", "/apns", {"p12": p12_of(made, rsa_key()), "password": "secret"})
    stored = await shown(served)
    assert list(stored) == ["apns"]
    assert (stored["apns"]["form"], stored["apns"]["topics"]) == ("certificate", [BUNDLE_ID])
    assert stored["apns"]["timestampExpires"] == round(made.not_valid_after_utc.timestamp() * 1000)
    assert "expiry" not in stored["apns"]
    assert "keyId" not in stored["apns"]


async def test_clear_removes_all_and_delete_one(served: Served) -> None:
    for path, form in (("/apns", apns_form()), ("/fcm", fcm_form()), ("/webpush", {"subject": "https://e.com"})):
        await ask(served, "PUT", path, form)
    assert (await ask(served, "DELETE", "/fcm")).body == {"status": "OK"}
    assert (await ask(served, "DELETE", "/fcm")).status == 404
    assert set(await shown(served)) == {"apns", "webpush"}
    assert await live(served, "fcm") is None
    for _ in range(2):  # again is no change
        assert (await ask(served, "DELETE")).body == {"status": "OK"}
    assert await shown(served) == {}
    assert await live(served, "apns") is None


async def test_browsers_keep_their_subscriptions_when_the_subject_changes(served: Served) -> None:
    first = (await ask(served, "PUT", "/webpush", {"subject": "mailto:push@example.com"})).body
    second = (await ask(served, "PUT", "/webpush", {"subject": "https://example.com/push"})).body
    assert (second["publicKey"], second["subject"]) == (first["publicKey"], "https://example.com/push")
    stored = await live(served, "webpush")
    assert stored is not None
    assert stored.credential.facts()["subject"] == "https://example.com/push"
    raw = base64_of(p256().private_numbers().private_value.to_bytes(32, "big"))
    brought = {"subject": "https://example.com", "privateKey": raw.translate(str.maketrans("+/", "-_"))}
    third = (await ask(served, "PUT", "/webpush", brought)).body
    assert third["publicKey"] != first["publicKey"]
    await ask(served, "DELETE", "/webpush")
    fourth = (await ask(served, "PUT", "/webpush", {"subject": "https://example.com"})).body
    assert fourth["publicKey"] not in {first["publicKey"], third["publicKey"]}


async def test_every_change_is_in_the_audit_log_without_secrets(served: Served) -> None:
    await ask(served, "PUT", "/apns", apns_form())
    await cloud(served, "POST", "/fcm", CLOUD_FCM)
    await ask(served, "DELETE")
    rows = await served.installation.store.read(every, _audit)
    assert [action for action, _ in rows] == [
        "app.push_credential_set",
        "app.push_credential_set",
        "app.push_credential_removed",
        "app.push_credential_removed",
    ]
    assert json.loads(rows[0][1])["keyId"] == "73Q8JZND1V"
    assert all("PRIVATE" not in details for _, details in rows)


async def test_powerauth_cloud_sets_shows_and_removes_apns(served: Served) -> None:
    without_key = {name: value for name, value in CLOUD_APNS.items() if name != "privateKeyBase64"}
    answer = await cloud(served, "POST", "/apns", CLOUD_APNS)
    assert (answer.status, answer.body) == (200, without_key)
    assert (await cloud(served, "GET", "/apns")).body == without_key
    stored = await live(served, "apns")
    assert stored is not None
    assert isinstance(stored.credential, ApnsTokenKey)
    assert (stored.credential.bundle_id, stored.credential.environment) == (BUNDLE_ID, "development")
    assert (await cloud(served, "DELETE", "/apns")).body == {"status": "OK"}
    for method in ("GET", "DELETE"):
        refused = await cloud(served, method, "/apns")
        assert (refused.status, refused.body["responseObject"]["code"]) == (400, "ERROR_REQUEST")


async def test_powerauth_cloud_shows_a_certificate_by_its_topic(served: Served) -> None:
    await ask(served, "PUT", "/apns", {"p12": p12_of(certificate(), rsa_key(), b"")})
    nothing = {"keyId": None, "teamId": None, "environment": None}
    assert (await cloud(served, "GET", "/apns")).body == {"topic": BUNDLE_ID, **nothing}


async def test_powerauth_cloud_sets_shows_and_removes_fcm(served: Served) -> None:
    answer = await cloud(served, "POST", "/fcm", {**CLOUD_FCM, "projectId": "another-project"})
    assert (answer.status, answer.body) == (200, {"projectId": "another-project"})
    assert (await cloud(served, "GET", "/fcm")).body == {"projectId": "another-project"}
    stored = await live(served, "fcm")
    assert stored is not None
    assert isinstance(stored.credential, FcmServiceAccount)
    assert stored.credential.project_id == "another-project"
    assert stored.credential.client_email.endswith("@kitchensink-demo-app.iam.gserviceaccount.com")
    assert (await cloud(served, "DELETE", "/fcm")).body == {"status": "OK"}
    assert (await cloud(served, "GET", "/fcm")).status == 400


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/apns", {**CLOUD_APNS, "privateKeyBase64": "junk"}, "privateKeyBase64"),
        ("/apns", {**CLOUD_APNS, "topic": "x"}, "topic"),
        ("/apns", {**CLOUD_APNS, "keyId": "short"}, "keyId"),
        ("/apns", {**CLOUD_APNS, "teamId": "short"}, "teamId"),
        ("/apns", {**CLOUD_APNS, "environment": "staging"}, "environment"),
        ("/apns", {}, "topic"),
        ("/fcm", {**CLOUD_FCM, "privateKeyBase64": "junk"}, "privateKeyBase64"),
        ("/fcm", {**CLOUD_FCM, "privateKeyBase64": "A" * 100_000}, "privateKeyBase64"),
        ("/fcm", {**CLOUD_FCM, "projectId": "../x"}, "projectId"),
        ("/fcm", {"projectId": "kitchensink-demo-app"}, "privateKeyBase64"),
    ],
)
async def test_powerauth_cloud_refuses_and_names_the_field(
    served_sqlite: Served, path: str, body: dict[str, Any], field: str
) -> None:
    answer = await cloud(served_sqlite, "POST", path, body)
    assert (answer.status, answer.body["responseObject"]["code"]) == (400, "ERROR_REQUEST")
    assert answer.body["responseObject"]["violations"][0]["fieldName"] == field
    assert await shown(served_sqlite) == {}


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/apns", apns_form(keyFile="junk"), "keyFile"),
        ("/apns", apns_form(keyFile=base64_of(pem(rsa_key()))), "keyFile"),
        ("/apns", apns_form(keyFile="A" * 100_000), "keyFile"),
        ("/apns", apns_form(teamId=None), "teamId"),
        ("/apns", apns_form(keyId="73Q8JZND1\0"), "body"),
        ("/apns", {"p12": p12_of(certificate(begins=-3 * DAY, ends=-DAY), rsa_key(), b"")}, "p12"),
        ("/apns", [], "body"),
        ("/fcm", fcm_form(client_email=None), "serviceAccount.client_email"),
        ("/fcm", {"serviceAccount": "A" * 100_000}, "serviceAccount"),
        ("/fcm", {}, "serviceAccount"),
        ("/webpush", {"subject": "push"}, "subject"),
        ("/webpush", {}, "subject"),
    ],
)
async def test_the_native_api_refuses_names_the_field_and_keeps_what_was_there(
    served_sqlite: Served, path: str, body: Any, field: str
) -> None:
    await ask(served_sqlite, "PUT", "/apns", apns_form())
    before = await shown(served_sqlite)
    answer = await ask(served_sqlite, "PUT", path, body)
    assert answer.status == 400
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.body["violations"][0]["fieldName"] == field
    assert await shown(served_sqlite) == before


async def test_unknown_apps_and_kinds(served_sqlite: Served) -> None:
    none = "/api/v1/apps/none/push-credentials"
    auth = served_sqlite.admin
    for method, path, body in (
        ("GET", none, None),
        ("DELETE", none, None),
        ("PUT", f"{none}/apns", apns_form()),
        ("PUT", f"{none}/webpush", {"subject": "mailto:a@b"}),
        ("DELETE", f"{none}/apns", None),
        ("POST", f"{none}/apns/try", None),
        ("GET", "/powerauth-cloud/admin/applications/none/push/apns", None),
        ("POST", "/powerauth-cloud/admin/applications/none/push/fcm", CLOUD_FCM),
        ("GET", "/api/v1/apps/a%00b/push-credentials", None),
    ):
        assert (await served_sqlite.call(method, path, body, auth=auth)).status == 400, path
    for path in ("/hms", "/APNS"):
        assert (await ask(served_sqlite, "DELETE", path)).status == 404
    for path in ("/apns/try", "/fcm/try", "/webpush/try"):
        assert (await ask(served_sqlite, "POST", path)).status == 404


async def test_two_who_store_at_the_same_time_leave_one_whole_credential(served: Served) -> None:
    forms = [apns_form(keyId=f"ABCDEFGHI{n}") for n in range(6)]
    answers = await asyncio.gather(*(ask(served, "PUT", "/apns", form) for form in forms))
    assert {answer.status for answer in answers} == {200}
    stored = await live(served, "apns")
    assert stored is not None
    assert isinstance(stored.credential, ApnsTokenKey)
    assert stored.credential.key_id == (await shown(served))["apns"]["keyId"]
    assert stored.version == len(forms)


async def test_a_sealed_credential_cannot_be_moved_to_another_app(served: Served) -> None:
    await ask(served, "PUT", "/apns", apns_form())
    await served.new_tenant("shop")
    other = "/api/v1/apps/shop/push-credentials"
    await served.call("PUT", f"{other}/apns", apns_form(keyId="SHOPSHOP01"), auth=served.admin)
    credentials = served.rooms.push.credentials
    row = await served.installation.store.read(credentials.stored, "bank", "apns")
    shop = await served.installation.store.read(credentials.stored, "shop", "apns")
    assert row is not None
    assert shop is not None
    with pytest.raises(SealBroken):
        credentials.open(msgspec.structs.replace(shop, secret_sealed=row.secret_sealed))

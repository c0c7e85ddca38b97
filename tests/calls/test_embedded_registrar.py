"""REGISTER over SIP: who may, what is kept, what is answered (RFC 3261 §10.3, RFC 5626, RFC 8599)."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ringback.apps import push_credential_content
from ringback.protocols.base64url import to_base64url
from ringback.push import PushToken
from tests.apps.push_files import fcm_form
from tests.calls.embedded_scene import PASSWORD, EmbeddedScene, ScriptedPhone, contacts
from tests.calls.peer import Message, Peer
from tests.calls.ports import free_port
from tests.calls.scene import BUNDLE, BY, DOMAIN, until


@pytest.fixture
async def scene(sqlite_url: str, tmp_path: Path) -> AsyncIterator[EmbeddedScene]:
    """With the subscribers bob and eve."""
    async with EmbeddedScene.start(tmp_path, sqlite_url) as running:
        await running.account("bob")
        await running.account("eve")
        yield running


@pytest.fixture
async def bob(scene: EmbeddedScene) -> AsyncIterator[ScriptedPhone]:
    """A phone of bob."""
    async with scene.phone("bob") as phone:
        yield phone


async def tokens_of(scene: EmbeddedScene, user: str) -> list[PushToken]:
    """What a user's phones can be woken with."""
    served = scene.scene.served
    return await served.installation.store.read(served.rooms.push.tokens.of_user, user)


async def asked(phone: ScriptedPhone) -> list[str]:
    """Which bindings there are, as a REGISTER without Contact tells."""
    answer = await phone.register(contact="", expires=None, call_id=f"query-{phone.registration}")
    assert answer.status == 200
    return contacts(answer)


async def test_a_phone_registers_asks_and_goes(bob: ScriptedPhone) -> None:
    made = await bob.register(expires=600)
    assert made.status == 200
    assert contacts(made) == [bob.contact]
    assert f'+sip.instance="{bob.instance}"' in made.get("Contact")
    assert "expires=600" in made.get("Contact") or "expires=599" in made.get("Contact")
    assert made.get("Date").endswith("GMT")
    assert await asked(bob) == [bob.contact]
    gone = await bob.register(expires=0)
    assert (gone.status, gone.all("Contact")) == (200, [])
    assert await asked(bob) == []


async def test_nothing_is_told_or_kept_without_a_proof(scene: EmbeddedScene, bob: ScriptedPhone) -> None:
    refused = await bob.register(proven=False)
    assert refused.status == 401
    (challenge,) = refused.all("WWW-Authenticate")
    assert "algorithm=MD5" in challenge
    assert f'realm="{DOMAIN}"' in challenge
    before = (await scene.scene.refused()).get("wrong_password", 0)
    async with scene.phone("bob", "wrong") as stranger:
        assert (await stranger.register()).status == 401
    assert (await scene.scene.refused())["wrong_password"] == before + 1, "and no challenge is counted"
    assert await asked(bob) == []


@pytest.mark.parametrize(("asked_for", "algorithms"), [("SHA-256,MD5", ["SHA-256", "MD5"]), ("SHA-256", ["SHA-256"])])
async def test_a_better_digest_is_asked_for_where_it_is_set(
    sqlite_url: str, tmp_path: Path, asked_for: str, algorithms: list[str]
) -> None:
    async with EmbeddedScene.start(tmp_path, sqlite_url, sip_digest_algorithms=asked_for) as scene:
        await scene.account("bob")
        async with scene.phone("bob") as bob, scene.phone("bob", "wrong") as wrong:
            for phone, status in ((wrong, 401), (bob, 200)):
                phone.algorithm = "SHA-256"
                challenges = (await phone.register(proven=False)).all("WWW-Authenticate")
                assert [name for value in challenges for name in algorithms if f"={name}," in value] == algorithms
                assert (await phone.register()).status == status


async def test_a_digest_that_is_not_asked_for_is_not_judged(sqlite_url: str, tmp_path: Path) -> None:
    async with EmbeddedScene.start(tmp_path, sqlite_url, sip_digest_algorithms="SHA-256") as scene:
        await scene.account("bob")
        async with scene.phone("bob") as bob:
            bob.answers_with = "MD5"
            bob.algorithm = "SHA-256"
            refused = await bob.register()
            assert refused.status == 401
            (challenge,) = refused.all("WWW-Authenticate")
            assert "algorithm=SHA-256," in challenge
            bob.answers_with = ""
            assert (await bob.register()).status == 200


async def test_who_is_not_there_is_answered_as_a_wrong_password_is(scene: EmbeddedScene) -> None:
    async with scene.phone("nobody") as nobody, scene.phone("bob", "wrong") as wrong:
        answers = [await nobody.register(), await wrong.register()]
    assert [answer.status for answer in answers] == [401, 401]
    assert [answer.get("WWW-Authenticate").count("algorithm=MD5") for answer in answers] == [1, 1]


async def test_a_register_for_somebody_else_is_refused(scene: EmbeddedScene, bob: ScriptedPhone) -> None:
    before = (await scene.scene.refused()).get("not_yours", 0)
    async with scene.phone("eve") as eve:
        answer = await eve.request(
            "REGISTER", f"sip:{DOMAIN}", {"Contact": f"<{eve.contact}>"}, to=f"<sip:bob@{DOMAIN}>", user="eve"
        )
    assert answer.status == 403
    assert (await scene.scene.refused())["not_yours"] == before + 1
    assert await asked(bob) == []


async def test_a_disabled_subscriber_registers_no_more(scene: EmbeddedScene, bob: ScriptedPhone) -> None:
    await scene.scene.disable("bob")
    assert (await bob.register()).status == 401


async def test_too_many_wrong_passwords_are_not_looked_at(scene: EmbeddedScene) -> None:
    async with scene.phone("bob", "wrong") as stranger:
        statuses = [(await stranger.register()).status for _ in range(12)]
    assert statuses[0] == 401
    assert statuses[-1] == 403


async def test_another_domain_is_not_served(bob: ScriptedPhone) -> None:
    answer = await bob.request(
        "REGISTER", "sip:example.net", {"Contact": f"<{bob.contact}>"}, to="<sip:bob@example.net>", proven=False
    )
    assert answer.status == 401
    proven = await bob.request("REGISTER", "sip:example.net", to="<sip:bob@example.net>")
    assert proven.status == 401


@pytest.mark.parametrize(
    ("asked_of", "status"),
    [
        ("sip:example.net", 404),
        ("sip:bob@example.net", 404),
        ("sip:registrar.example.com", 404),
        ("tel:+4312345", 404),
        ("http://example.com", 416),
        ("sip:", 400),
        ("sip:EXAMPLE.com:5060;transport=udp", 200),
        ("sip:127.0.0.1:5070", 200),
        ("sip:[2001:db8::1]", 200),
    ],
)
async def test_a_registrar_is_asked_for_its_own_domain_or_by_an_address(
    bob: ScriptedPhone, asked_of: str, status: int
) -> None:
    answer = await bob.request("REGISTER", asked_of, {"Contact": f"<{bob.contact}>"}, to=f"<sip:{bob.aor}>")
    assert answer.status == status
    assert await asked(bob) == ([bob.contact] if status == 200 else [])


async def test_a_registrar_may_be_asked_by_its_advertised_name(sqlite_url: str, tmp_path: Path) -> None:
    async with EmbeddedScene.start(tmp_path, sqlite_url, sip_advertise="sip.example.com:5090") as scene:
        await scene.account("bob")
        async with scene.phone("bob") as bob:
            for asked_of, status in (("sip:sip.example.com:5090", 200), ("sip:pbx.example.com:5090", 404)):
                answer = await bob.request("REGISTER", asked_of, {"Contact": f"<{bob.contact}>"}, to=f"<sip:{bob.aor}>")
                assert answer.status == status


@pytest.mark.parametrize(
    ("contact", "expires", "status"),
    [
        ("<tel:+4312345>", 600, 400),
        (f"<sip:alice@{DOMAIN}>", 600, 400),
        ("<sip:bob@192.0.2.1?Subject=x>", 600, 400),
        ("*", 600, 400),
        ("<sip:bob@192.0.2.1>", 10, 423),
    ],
)
async def test_what_cannot_be_a_binding_is_refused(bob: ScriptedPhone, contact: str, expires: int, status: int) -> None:
    answer = await bob.register(contact=contact, expires=expires)
    assert answer.status == status
    assert answer.get("Min-Expires") == ("60" if status == 423 else "")
    assert await asked(bob) == []


async def test_a_phone_is_not_where_the_registrar_is(scene: EmbeddedScene, bob: ScriptedPhone) -> None:
    assert (await bob.register(contact=f"<sip:bob@{scene.address}>")).status == 400


@pytest.mark.parametrize(
    ("listens", "advertised", "ours"),
    [
        ("0.0.0.0", "", "127.0.0.1:{port}"),
        ("[::]", "", "127.0.0.1:{port}"),
        ("0.0.0.0", "sip.example.net", "127.0.0.1:{port}"),
        ("0.0.0.0", "sip.example.net", "SIP.example.net:{port}"),
        ("127.0.0.1", "sip.example.net:5060", "sip.example.net"),
        ("127.0.0.1", "sip.example.net:5060", "127.0.0.1:{port}"),
    ],
)
async def test_a_phone_is_not_where_the_registrar_is_seen_either(
    sqlite_url: str, tmp_path: Path, listens: str, advertised: str, ours: str
) -> None:
    port = free_port()
    listening = {"sip_listen": f"{listens}:{port}", "sip_advertise": advertised}
    async with EmbeddedScene.start(tmp_path, sqlite_url, **listening) as scene, Peer.start() as peer:
        await scene.account("bob")
        bob = ScriptedPhone(peer, ("127.0.0.1", port), "bob", PASSWORD)
        assert (await bob.register(contact=f"<sip:bob@{ours.format(port=port)}>")).status == 400
        assert (await bob.register()).status == 200
        assert await asked(bob) == [bob.contact]


async def test_all_or_nothing(bob: ScriptedPhone) -> None:
    answer = await bob.register(contact=f"<{bob.contact}>, <tel:+4312345>")
    assert answer.status == 400
    assert await asked(bob) == []


async def test_a_lifetime_that_is_too_long_is_shortened(bob: ScriptedPhone) -> None:
    answer = await bob.register(expires=100_000)
    assert "expires=3600" in answer.get("Contact") or "expires=3599" in answer.get("Contact")


async def test_a_register_that_was_overtaken_changes_nothing(bob: ScriptedPhone) -> None:
    assert (await bob.register(cseq=10)).status == 200
    late = await bob.register(expires=0, cseq=9)
    assert late.status == 500
    assert await asked(bob) == [bob.contact]


async def test_path_is_not_supported_and_says_so_when_it_is_required(bob: ScriptedPhone) -> None:
    fields = {"Contact": f"<{bob.contact}>", "Require": "path", "Path": "<sip:edge.example.com;lr>"}
    answer = await bob.request("REGISTER", f"sip:{DOMAIN}", fields, to=f"<sip:{bob.aor}>")
    assert (answer.status, answer.get("Unsupported")) == (420, "path")


async def test_a_phone_that_moved_is_one_binding(scene: EmbeddedScene, bob: ScriptedPhone) -> None:
    await bob.register()
    async with scene.phone("bob") as moved:
        moved.instance = bob.instance
        assert contacts(await moved.register()) == [moved.contact]


@pytest.mark.parametrize(
    ("method", "status"),
    [("MESSAGE", 405), ("SUBSCRIBE", 489), ("PUBLISH", 405), ("BYE", 481), ("OPTIONS", 200), ("NONSENSE", 501)],
)
async def test_other_methods_are_answered_as_a_registrar_does(bob: ScriptedPhone, method: str, status: int) -> None:
    answer = await bob.request(method, f"sip:bob@{DOMAIN}", {"Event": "reg"}, proven=False)
    assert answer.status == status
    if status in {405, 200}:
        assert "REGISTER" in answer.get("Allow")
        assert "NOTIFY" not in answer.get("Allow")


async def test_what_can_be_done_at_an_address_of_another_kind_is_not_told(bob: ScriptedPhone) -> None:
    answer = await bob.request("OPTIONS", "isbn:2983792873", to=f"<sip:{bob.aor}>", proven=False)
    assert answer.status == 416


# RFC 8599 -------------------------------------------------------------------------------------------------------------


def services(answer: Message) -> list[str]:
    return answer.all("Feature-Caps")


async def test_a_phone_that_can_be_pushed_is_told_so_and_its_push_token_stays(
    scene: EmbeddedScene, bob: ScriptedPhone
) -> None:
    made = await bob.register(scene.pn())
    assert made.status == 200
    assert services(made) == ['*;+sip.pns="apns"']
    assert contacts(made) == [bob.contact + scene.pn()]  # as the phone wrote it
    (token,) = await tokens_of(scene, "bob")
    assert (token.app_id, token.kind, token.push_token, token.sip_instance) == (
        "bank", "apns-voip", "ab" * 32, bob.instance,
    )  # fmt: skip
    assert services(await bob.register(expires=0)) == []
    assert len(await tokens_of(scene, "bob")) == 1


async def test_nobody_else_is_shown_a_push_token(scene: EmbeddedScene, bob: ScriptedPhone) -> None:
    await bob.register(scene.pn())
    async with scene.phone("bob") as other:
        assert await asked(other) == [bob.contact]


async def test_a_phone_may_have_push_tokens_for_ringing_and_for_showing(
    scene: EmbeddedScene, bob: ScriptedPhone
) -> None:
    prid = f"{'ab' * 32}:voip&{'cd' * 32}:remote"
    assert (await bob.register(scene.pn(prid, ".remote&voip"))).status == 200
    stored = {token.kind: token.push_token for token in await tokens_of(scene, "bob")}
    assert stored == {"apns-voip": "ab" * 32, "apns": "cd" * 32}


async def test_a_phone_may_ask_which_push_services_there_are(bob: ScriptedPhone) -> None:
    assert services(await bob.register(";pn-provider")) == ['*;+sip.pns="apns"']


async def test_phones_are_pushed_by_fcm_and_web_push_as_well(scene: EmbeddedScene, bob: ScriptedPhone) -> None:
    desk = scene.scene.served.rooms.push.desk
    await desk.put(BY, "bank", push_credential_content("fcm", fcm_form(project_id="our-project")))
    await desk.put(BY, "bank", push_credential_content("webpush", {"subject": "mailto:push@example.com"}))
    point = ec.generate_private_key(ec.SECP256R1()).public_key()
    key = point.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    keys = f"{to_base64url(key).decode()}.{to_base64url(bytes(16)).decode()}"
    endpoint = "https%3A%2F%2Fpush.example.net%2Fsend%2F1"

    async def all_are_told() -> bool:  # what an app has is remembered for a moment
        told = services(await bob.register(";pn-provider"))
        return told == [f'*;+sip.pns="{name}"' for name in ("apns", "fcm", "webpush")]

    await until(all_are_told)
    fcm = await bob.register(";pn-provider=fcm;pn-param=our-project;pn-prid=dGhl:APA91_-token")
    assert (fcm.status, services(fcm)) == (200, ['*;+sip.pns="fcm"'])
    web = await bob.register(f";pn-provider=webpush;pn-param={keys};pn-prid={endpoint}")
    assert (web.status, services(web)) == (200, ['*;+sip.pns="webpush"'])
    stored = {token.kind: token.push_token for token in await tokens_of(scene, "bob")}
    assert stored["fcm"] == "dGhl:APA91_-token"
    assert json.loads(stored["webpush"])["endpoint"] == "https://push.example.net/send/1"
    inside = "https%3A%2F%2F127.0.0.1%2F"
    for refused in (
        ";pn-provider=fcm;pn-param=their-project;pn-prid=x",
        f";pn-provider=webpush;pn-prid={endpoint}",
        f";pn-provider=webpush;pn-param=AAAA.BBBB;pn-prid={endpoint}",
        f";pn-provider=webpush;pn-param={keys};pn-prid={inside}",
        ";pn-provider=fcm;pn-param=our-project;pn-prid=%ff%fe",
        ";pn-provider=fcm;pn-param=our-project;pn-prid=a%0d%0ab",
    ):
        assert (await bob.register(refused)).status == 555


@pytest.mark.parametrize(
    "parameters",
    [
        ";pn-provider=fcm;pn-prid=token;pn-param=project",
        f";pn-provider=apns;pn-prid={'ab' * 32};pn-param=OTHERTEAM1.{BUNDLE}.voip",
        f";pn-provider=apns;pn-prid={'ab' * 32};pn-param=TEAM.com.example.stranger.voip",
        f";pn-provider=apns;pn-prid={'ab' * 32}",
        ";pn-provider=acme;pn-prid=x",
        ";pn-provider=webpush;pn-prid=https%3A%2F%2Fpush.example.org%2Fx",
    ],
)
async def test_who_names_a_push_service_of_nobody_here_is_told_and_not_kept(
    scene: EmbeddedScene, bob: ScriptedPhone, parameters: str
) -> None:
    answer = await bob.register(parameters)
    assert (answer.status, answer.start) == (555, "SIP/2.0 555 Push Notification Service Not Supported")
    assert await asked(bob) == []
    assert await tokens_of(scene, "bob") == []


async def test_what_is_no_push_token_is_refused(scene: EmbeddedScene, bob: ScriptedPhone) -> None:
    assert (await bob.register(scene.pn("not-hex"))).status == 555


async def test_a_phone_without_push_token_is_bound_and_not_pushed(scene: EmbeddedScene, bob: ScriptedPhone) -> None:
    answer = await bob.register(f";pn-provider=apns;pn-param={scene.scene.apns.key.team_id}.{BUNDLE}.voip")
    assert (answer.status, services(answer)) == (200, ['*;+sip.pns="apns"'])
    assert await tokens_of(scene, "bob") == []


async def test_a_phone_that_wakes_itself_is_told_when(scene: EmbeddedScene, bob: ScriptedPhone) -> None:
    contact = f'<{bob.contact}{scene.pn()}>;+sip.instance="{bob.instance}";+sip.pnsreg'
    answer = await bob.register(contact=contact, expires=3600)
    assert services(answer) == ['*;+sip.pns="apns";+sip.pnsreg="130"']
    assert services(await bob.register(contact=contact, expires=200)) == ['*;+sip.pns="apns"']


async def test_a_phone_gets_a_name_for_its_peers(scene: EmbeddedScene, bob: ScriptedPhone) -> None:
    (first,) = services(await bob.register(scene.pn() + ";pn-purr"))
    (again,) = services(await bob.register(scene.pn() + ";pn-purr"))
    assert first == again
    assert first.startswith('*;+sip.pns="apns";+sip.pnspurr="')

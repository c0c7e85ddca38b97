"""Who may send a password, whose word about the origin counts, which names are answered, how much is read."""

from __future__ import annotations

import pytest

from ringback.errors import StartRefused
from ringback.http.connection import MAX_HEADER_FIELDS
from ringback.http.edge import MAX_HEADER_BYTES, MAX_PATH_BYTES
from ringback.settings_checks import parse_networks
from tests.http.asgi import LOOPBACK, STRANGER, ask
from tests.http.small_app import AUTHORIZATION, small_app

SEEN = "/powerauth-cloud/seen"
OPEN = "/powerauth-cloud/count?n=1"
PROXY = "198.51.100.7"


@pytest.mark.parametrize("peer", [LOOPBACK, "127.8.9.10", "::1", None])
async def test_password_over_plain_http_from_this_machine(peer: str | None) -> None:
    answer = await ask(small_app(), SEEN, headers=AUTHORIZATION, peer=peer)
    assert (answer.status, answer.json["principal"]) == (200, "joe")


@pytest.mark.parametrize("peer", [STRANGER, "10.0.0.1", "2001:db8::1", "::ffff:192.0.2.1", "not-an-address", ""])
async def test_password_over_plain_http_from_elsewhere_is_refused(peer: str) -> None:
    answer = await ask(small_app(), SEEN, headers=AUTHORIZATION, peer=peer or "?")
    assert answer.status == 401
    assert "TLS" in answer.message
    assert (await ask(small_app(), SEEN, headers=AUTHORIZATION, peer=peer or "?", scheme="https")).status == 200


async def test_what_needs_no_password_is_open_to_everybody() -> None:
    assert (await ask(small_app(), OPEN, peer=STRANGER)).status == 200


async def test_a_stranger_cannot_pretend_to_come_from_here() -> None:
    forged = {
        "X-Forwarded-For": LOOPBACK,
        "X-Forwarded-Proto": "https",
        "X-Real-IP": LOOPBACK,
        "Forwarded": f"for={LOOPBACK};proto=https",
    }
    for trusted in ("", PROXY, "198.51.100.0/24"):
        app = small_app(trusted_proxies=trusted)
        assert (await ask(app, SEEN, headers={**AUTHORIZATION, **forged}, peer=STRANGER)).status == 401


@pytest.mark.parametrize("trusted", [PROXY, f" {PROXY} , 203.0.113.1", "198.51.100.0/24", f"{PROXY}/32"])
async def test_a_trusted_proxy_may_hand_on_passwords(trusted: str) -> None:
    app = small_app(trusted_proxies=trusted)
    forwarded = {**AUTHORIZATION, "X-Forwarded-For": STRANGER, "X-Forwarded-Proto": "https"}
    answer = await ask(app, SEEN, headers=forwarded, peer=PROXY)
    assert answer.status == 200
    assert answer.json["address"] == STRANGER
    plain = await ask(app, SEEN, headers=AUTHORIZATION, peer=PROXY)
    assert (plain.status, plain.json["address"]) == (200, PROXY)


async def test_only_the_part_that_trusted_proxies_wrote_counts() -> None:
    """A client may send X-Forwarded-For itself; the proxy adds what it saw at the end."""
    app = small_app(trusted_proxies=PROXY)
    forwarded = {**AUTHORIZATION, "X-Forwarded-For": f"{LOOPBACK}, {STRANGER}"}
    assert (await ask(app, SEEN, headers=forwarded, peer=PROXY)).json["address"] == STRANGER


async def test_the_word_of_an_untrusted_peer_is_ignored() -> None:
    for trusted in ("", PROXY):
        answer = await ask(
            small_app(trusted_proxies=trusted), SEEN, headers={**AUTHORIZATION, "X-Forwarded-For": STRANGER}
        )
        assert answer.json["address"] == LOOPBACK


async def test_a_proxy_on_this_machine_hands_on_the_address_too() -> None:
    forwarded = {**AUTHORIZATION, "X-Forwarded-For": STRANGER}
    answer = await ask(small_app(trusted_proxies=LOOPBACK), SEEN, headers=forwarded)
    assert (answer.status, answer.json["address"]) == (200, STRANGER)


async def test_garbage_in_forwarded_headers_breaks_nothing() -> None:
    app = small_app(trusted_proxies=PROXY)
    for value in ("", ",,,", "x" * 300, "999.1.1.1", "[::1]:x", "\x7f", "unknown"):
        headers = {**AUTHORIZATION, "X-Forwarded-For": value, "X-Forwarded-Proto": value}
        assert (await ask(app, SEEN, headers=headers, peer=PROXY)).status == 200, value


@pytest.mark.parametrize("text", ["nonsense", "10.0.0.0/99", "10.0.0.1/8", "*"])
def test_a_wrong_network_is_named_at_the_start(text: str) -> None:
    with pytest.raises(StartRefused, match=r"RINGBACK_TRUSTED_PROXIES"):
        parse_networks(text)


HOSTS = frozenset({"localhost", "127.0.0.1", "::1", "ringback.bank.internal"})


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:8081", "127.0.0.1:9", "[::1]:8081", "[::1]", "ringback.bank.internal"]
)
async def test_known_host_names(host: str) -> None:
    assert (await ask(small_app(hosts=HOSTS), OPEN, headers={"Host": host})).status == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "localhost.evil.example", "evil.example:8081", "", "[::2]", "127.0.0.1.nip.io", "user@localhost"],
)
async def test_other_host_names_get_nothing(host: str) -> None:
    for path in (SEEN, OPEN, "/api/v1/count?n=1"):
        answer = await ask(small_app(hosts=HOSTS), path, headers={**AUTHORIZATION, "Host": host})
        assert answer.status == 421
        assert "RINGBACK_INTERNAL_HOSTS" in answer.message
    assert (await ask(small_app(hosts=None), OPEN, headers={"Host": host})).status == 200


async def test_two_host_names_are_refused() -> None:
    for hosts in (HOSTS, None):
        answer = await ask(small_app(hosts=hosts), OPEN, more_headers=(("Host", "localhost"),))
        assert answer.status == 400


async def test_size_of_headers_and_address() -> None:
    app = small_app()
    for headers, path in (
        ({"X": "y" * MAX_HEADER_BYTES}, OPEN),
        ({f"X-{number}": "y" * 100 for number in range(400)}, OPEN),
        ({f"X-{number}": "" for number in range(MAX_HEADER_FIELDS)}, OPEN),
        ({}, "/powerauth-cloud/" + "x" * MAX_PATH_BYTES),
        ({}, OPEN + "&x=" + "y" * MAX_PATH_BYTES),
    ):
        answer = await ask(app, path, headers=headers)
        assert (answer.status, answer.json["responseObject"]["code"]) == (431, "ERROR_REQUEST")
        assert answer.headers["x-content-type-options"] == "nosniff"
    assert (await ask(app, OPEN + "&x=" + "y" * 7_000, headers={"X": "y" * 30_000})).status == 200


@pytest.mark.parametrize("path", [OPEN + "%00", "/powerauth-cloud/%00", "/enrollment-server/%00", "/api/v1/x?a=%00"])
async def test_nul_in_the_address_is_refused(path: str) -> None:
    answer = await ask(small_app(), path)
    assert answer.status == 400
    assert "U+0000" in answer.message
    is_native = path.startswith("/api/v1")
    assert answer.headers["content-type"] == ("application/problem+json" if is_native else "application/json")


async def test_a_page_of_another_site_cannot_use_the_password_that_a_browser_keeps() -> None:
    for site, method, status in (
        ("cross-site", "POST", 403),
        ("same-site", "POST", 403),
        ("same-origin", "POST", 200),
        ("none", "POST", 200),
        ("cross-site", "GET", 200),
    ):
        path = "/powerauth-cloud/change" if method == "POST" else SEEN
        answer = await ask(small_app(), path, method=method, headers={**AUTHORIZATION, "Sec-Fetch-Site": site})
        assert answer.status == status, (site, method)

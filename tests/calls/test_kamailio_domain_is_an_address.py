"""A Kamailio whose domain is an address of its machine, where phones may be too: ports say who is who."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.calls.kamailio import Kamailio
from tests.calls.scripted_server import ScriptedServer
from tests.calls.sipp import register, run_sipp, sipp

DOMAIN = "127.0.0.1"


@pytest.fixture(params=[DOMAIN, "0.0.0.0"], ids=["listens there", "listens everywhere"])
async def proxy(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Kamailio]:
    """It believes everybody; its application server asks nobody to wake."""
    async with (
        ScriptedServer.start() as server,
        Kamailio.start(tmp_path, [server.address], host=request.param, domains=(DOMAIN,)) as running,
    ):
        yield running


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_a_phone_on_the_same_machine_registers_and_is_called(
    tmp_path: Path, proxy: Kamailio, transport: str
) -> None:
    async with sipp(tmp_path, "phone", proxy.address, transport=transport) as phone:
        contact = phone.contact("bob")
        callee_at = proxy.address if transport == "tcp" else DOMAIN
        registered = await register(tmp_path, proxy.address, "bob", contact, domain=DOMAIN)
        assert registered.statuses == [200], registered.errors
        called = await run_sipp(tmp_path, "caller", proxy.address, domain=callee_at)
        assert called.successful == 1, called.errors
        assert (await phone.finished()).methods == ["INVITE", "ACK", "BYE"]


async def test_the_port_of_sip_is_a_phone_s_where_the_proxy_has_another_one(tmp_path: Path, proxy: Kamailio) -> None:
    await register(tmp_path, proxy.address, "bob", f"<sip:bob@{DOMAIN}:5060>", domain=DOMAIN)
    assert await proxy.bindings("bob") == [f"sip:bob@{DOMAIN}:5060"]


@pytest.mark.parametrize(
    "contact", ["<sip:bob@{host}:{port}>", "<SIP:bob@{host}:{port};transport=tcp>", "sip:bob@{host}"]
)
async def test_a_binding_that_leads_back_here_is_refused(tmp_path: Path, proxy: Kamailio, contact: str) -> None:
    back = contact.format(host=DOMAIN, port=proxy.port)
    refused = await register(tmp_path, proxy.address, "bob", back, domain=DOMAIN, status=403)
    assert refused.statuses == [403], refused.errors
    assert await proxy.bindings("bob") == []


async def test_of_two_contacts_only_the_phone_rings(tmp_path: Path, proxy: Kamailio) -> None:
    async with sipp(tmp_path, "phone", proxy.address) as phone:
        both = f"{phone.contact('bob')}, <SIP:bob@{proxy.address}>"
        await register(tmp_path, proxy.address, "bob", both, domain=DOMAIN)
        called = await run_sipp(tmp_path, "caller", proxy.address, domain=DOMAIN)
        assert called.statuses == [100, 180, 200, 200], called.errors
        assert (await phone.finished()).methods == ["INVITE", "ACK", "BYE"]


async def test_only_calls_to_this_server_are_for_it(tmp_path: Path, proxy: Kamailio) -> None:
    called = await run_sipp(tmp_path, "caller_refused", proxy.address, domain="127.0.0.9", status=404)
    assert called.statuses == [404], called.errors

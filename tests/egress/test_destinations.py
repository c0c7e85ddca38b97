"""Which addresses may be called: three tiers, and IPv4 addresses in IPv6 clothes."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.destinations import FORBIDDEN, Destinations
from ringback.errors import DestinationNotAllowed


def allows(address: str, allow: str = "", *, port: int = 443, secure: bool = True) -> bool:
    policy = Destinations([ipaddress.ip_network(one) for one in allow.split()])
    try:
        policy.check_address(address, port, secure=secure)
    except DestinationNotAllowed:
        return False
    return True


@pytest.mark.parametrize(
    "address",
    ["93.184.215.14", "2606:4700::1111", "::ffff:93.184.215.14", "64:ff9b::5db8:d70e", "2002:5db8:d70e::1", "1.1.1.1"],
)
def test_public_addresses_are_reached_over_https_on_the_usual_port_only(address: str) -> None:
    assert allows(address)
    assert not allows(address, secure=False)
    assert not allows(address, port=8443)


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",
        "0.1.2.3",
        "127.0.0.1",
        "127.255.255.255",
        "169.254.169.254",
        "192.0.0.192",
        "192.0.2.1",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.7",
        "203.0.113.7",
        "192.88.99.1",
        "224.0.0.1",
        "239.1.1.1",
        "240.0.0.1",
        "255.255.255.255",
        "168.63.129.16",
        "100.100.100.200",
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::7f00:1",
        "2002:7f00:1::",
        "2002:a9fe:a9fe::1",
        "2001:0:4136:e378:8000:63bf:80ff:fffe",
        "fe80::1",
        "fe80::1%1",
        "febf::1",
        "fec0::1",
        "ff02::1",
        "100::1",
        "2001:db8::1",
        "2001:2::1",
        "2001:20::1",
        "3fff::1",
        "5f00::1",
        "4000::1",
        "8000::1",
        "f000::1",
        "fd00:ec2::254",
        "fd20:ce::254",
    ],
)
def test_forbidden_addresses_are_opened_by_nothing_that_is_wider(address: str) -> None:
    assert not allows(address)
    assert not allows(address, "0.0.0.0/0 ::/0 0.0.0.0/1 128.0.0.0/1")


@pytest.mark.parametrize(
    "address", ["10.0.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1", "fc00::1", "fd12::1", "::ffff:10.0.0.1"]
)
def test_private_addresses_need_a_network_that_holds_them(address: str) -> None:
    assert not allows(address)
    assert not allows(address, "11.0.0.0/8 fe80::/10")
    assert allows(address, "0.0.0.0/0 ::/0", port=8080, secure=False)


@pytest.mark.parametrize(
    ("address", "allow"),
    [
        ("127.0.0.1", "127.0.0.0/8"),
        ("127.0.0.1", "127.0.0.1/32"),
        ("::ffff:127.0.0.1", "127.0.0.1/32"),
        ("::1", "::1/128"),
        ("169.254.169.254", "169.254.169.254/32"),
        ("100.100.100.200", "100.100.100.200/32"),
        ("fe80::1%2", "fe80::/10"),
        ("64:ff9b:1::1", "64:ff9b:1::/48"),
        ("2001:db8::1", "2001:db8::/32"),
    ],
)
def test_forbidden_addresses_are_opened_by_an_entry_inside_their_range(address: str, allow: str) -> None:
    assert allows(address, allow, port=8080, secure=False)


def test_an_entry_opens_nothing_beside_it() -> None:
    assert not allows("127.0.0.2", "127.0.0.1/32")
    assert not allows("100.100.100.200", "100.64.0.0/10")  # the metadata service inside a private network
    assert not allows("fd00:ec2::254", "fd00::/8")
    assert not allows("::1", "127.0.0.0/8")
    assert not allows("10.1.0.1", "10.0.0.0/16")


@given(st.ip_addresses(v=4).map(str))
def test_python_agrees_about_ipv4(text: str) -> None:
    """Whatever Python's own registry does not call global is not public here either."""
    address = ipaddress.IPv4Address(text)
    if not address.is_global or address.is_multicast or address.is_reserved:
        assert not allows(text)


@given(st.one_of(st.ip_addresses(v=6), *(st.ip_addresses(network=net) for net in FORBIDDEN if net.version == 6)))
def test_python_agrees_about_ipv6(address: ipaddress.IPv6Address) -> None:
    carries = address.ipv4_mapped or address.sixtofour or address.teredo
    if not carries and (not address.is_global or address.is_multicast):
        assert address in ipaddress.ip_network("64:ff9b::/96") or not allows(str(address))


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.com",
        "//example.com/",
        "ftp://example.com/",
        "file:///etc/passwd",
        "https://",
        "https:///path",
        "https://user@example.com/",
        "https://user:secret@example.com/",
        "https://@example.com/",
        "https://example.com/#part",
        "https://example.com/#",
        "https://example.com:0/",
        "https://example.com:65536/",
        "https://example.com:8443/",
        "http://example.com/",
        "https://exa mple.com/",
        "https://example.com/\r\nHost: x",
        "https://example.com\\@127.0.0.1/",
        "https://example.com/" + "x" * 2_048,
        "https://[::1/",
        "https://127.0.0.1/",
        "https://localhost/",
        "https://LOCALHOST./",
        "https://api.localhost/",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://0177.0.0.1/",
        "https://[::ffff:7f00:1]/",
        "https://①②⑦.0.0.1/",
    ],
)
def test_a_url_that_can_never_be_called_is_refused_when_it_is_saved(url: str) -> None:
    with pytest.raises(DestinationNotAllowed):
        Destinations().check_url(url)


@pytest.mark.parametrize(
    "url", ["https://example.com", "https://example.com:443/a?b=c", "https://93.184.215.14/", "https://bücher.example/"]
)
def test_a_usual_url_is_taken(url: str) -> None:
    Destinations().check_url(url)


def test_a_name_may_be_in_an_allowed_network_whatever_its_scheme_and_port() -> None:
    Destinations([ipaddress.ip_network("10.0.0.0/8")]).check_url("http://intranet.example:8080/")

"""A subscriber who wants to be somebody else at our Kamailio, with two proofs in one request."""

from __future__ import annotations

import hashlib
import re

import pytest

from tests.calls.peer import Message, Peer, write
from tests.calls.test_kamailio_digest import DOMAIN, Front, front

__all__ = ["front"]


async def _asked(peer: Peer, front: Front, request: str, user: str, number: int, *fields: tuple[str, str]) -> Message:
    """What a request from `user` is answered."""
    proxy = front.proxy
    fields = (
        ("Via", f"SIP/2.0/UDP {peer.address};branch=z9hG4bK{request}{number};rport"),
        ("Max-Forwards", "70"),
        ("From", f"<sip:{user}@{DOMAIN}>;tag=1"),
        ("To", f"<sip:{user}@{DOMAIN}>"),
        ("Call-ID", f"hostile-{request}"),
        ("CSeq", f"{number} {request}"),
        ("Contact", f"<sip:mallory@{peer.address}>"),
        *fields,
    )
    uri = f"sip:{DOMAIN}" if request == "REGISTER" else f"sip:bob@{DOMAIN}"
    peer.send(write(f"{request} {uri} SIP/2.0", list(fields)), (proxy.host, proxy.port))
    return await peer.expect(lambda message: message.status >= 200)


def _proof(challenge: str, method: str, uri: str, *, named: str, user: str, password: str) -> str:
    """A digest that names one user and is made with the password of another one."""
    said = dict(re.findall(r'(\w+)="?([^",]*)"?', challenge))
    ha1 = hashlib.md5(f"{user}:{said['realm']}:{password}".encode(), usedforsecurity=False).hexdigest()
    ha2 = hashlib.md5(f"{method}:{uri}".encode(), usedforsecurity=False).hexdigest()
    text = f"{ha1}:{said['nonce']}:00000001:abc:auth:{ha2}"
    response = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
    return (
        f'Digest username="{named}", realm="{said["realm"]}", nonce="{said["nonce"]}", uri="{uri}", algorithm=MD5,'
        f' qop=auth, nc=00000001, cnonce="abc", response="{response}"'
    )


ORDERS = [
    (("Authorization", "bob"), ("Proxy-Authorization", "alice")),
    (("Authorization", "alice"), ("Proxy-Authorization", "bob")),
    (("Proxy-Authorization", "bob"), ("Authorization", "alice")),
    (("Proxy-Authorization", "alice"), ("Authorization", "bob")),
    (("Proxy-Authorization", "bob"), ("Proxy-Authorization", "alice")),
    (("Proxy-Authorization", "alice"), ("Proxy-Authorization", "bob")),
    (("Authorization", "bob"), ("Authorization", "alice")),
    (("Authorization", "alice"), ("Authorization", "bob")),
]


@pytest.mark.parametrize(("method", "field"), [("REGISTER", "WWW-Authenticate"), ("INVITE", "Proxy-Authenticate")])
async def test_a_proof_for_one_name_does_not_count_for_another_one(front: Front, method: str, field: str) -> None:
    uri = f"sip:{DOMAIN}" if method == "REGISTER" else f"sip:bob@{DOMAIN}"
    async with Peer.start() as mallory:
        for number, order in enumerate(ORDERS):
            challenge = (await _asked(mallory, front, method, "alice", 2 * number + 1)).get(field)
            fields = [
                (name, _proof(challenge, method, uri, named=named, user="bob", password="secret"))
                for name, named in order
            ]
            answer = await _asked(mallory, front, method, "alice", 2 * number + 2, *fields)
            assert answer.status in {401, 403, 407}, order
            assert await front.proxy.bindings("alice") == []

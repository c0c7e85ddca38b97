"""A subscriber who wants to be somebody else at our Kamailio, with two proofs in one request."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

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


async def test_a_proof_for_one_name_does_not_register_another_one(front: Front, tmp_path: Path) -> None:
    async with Peer.start() as mallory:
        asked = await _asked(mallory, front, "REGISTER", "alice", 1)
        challenge, uri = asked.get("WWW-Authenticate"), f"sip:{DOMAIN}"
        # bob's password, under alice's name, beside a field of the other kind that says bob.
        proof = _proof(challenge, "REGISTER", uri, named="alice", user="bob", password="secret")
        beside = _proof(challenge, "REGISTER", uri, named="bob", user="bob", password="secret")
        answer = await _asked(
            mallory, front, "REGISTER", "alice", 2, ("Proxy-Authorization", beside), ("Authorization", proof)
        )
        assert answer.status in {401, 403}
        assert await front.proxy.bindings("alice") == []


async def test_a_proof_for_one_name_does_not_call_as_another_one(front: Front) -> None:
    async with Peer.start() as mallory:
        asked = await _asked(mallory, front, "INVITE", "alice", 1)
        challenge, uri = asked.get("Proxy-Authenticate"), f"sip:bob@{DOMAIN}"
        proof = _proof(challenge, "INVITE", uri, named="alice", user="bob", password="secret")
        beside = _proof(challenge, "INVITE", uri, named="bob", user="bob", password="secret")
        for number, fields in enumerate([
            (("Authorization", beside), ("Proxy-Authorization", proof)),
            (("Proxy-Authorization", beside), ("Proxy-Authorization", proof)),
            (("Proxy-Authorization", proof), ("Proxy-Authorization", beside)),
            (("Proxy-Authorization", proof), ("Authorization", beside)),
        ], 2):  # fmt: skip
            answer = await _asked(mallory, front, "INVITE", "alice", number, *fields)
            assert answer.status in {407, 403}, fields

"""What can be wrong with an envelope: one thing at a time, drawn by hypothesis."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
from hypothesis import strategies as st

from ringback.protocols.powerauth.ecies import (
    SH1_ACTIVATION,
    SH1_APPLICATION,
    SH1_TOKEN_CREATE,
    SH1_UPGRADE,
    SH1_VAULT_UNLOCK,
)
from ringback.protocols.powerauth.versions import protocol_version
from tests.devices.phone import ALL_VERSIONS

Fields = dict[str, Any]
BASE64_FIELDS = ("ephemeralPublicKey", "encryptedData", "mac", "nonce")
ALL_FIELDS = (*BASE64_FIELDS, "timestamp", "temporaryKeyId")
JUNK: tuple[Any, ...] = (
    None, "", "A", "====", "\0", "ž", 0, -1, 2**63, 2**64, 1.5, True, [], {}, "A" * 5000, "AAAA" * 30, "-" * 36,
)  # fmt: skip


@dataclass(frozen=True)
class Mutation:
    """`fields`: the changed envelope, from it and another one; the rest: what else was wrong when it was made."""

    name: str
    fields: Callable[[Fields, Fields], Any] = lambda right, _: right
    shared_info1: str | None = None
    header_version: str | None = None
    header_id: str | None = None
    sealed_by: Literal["itself", "stranger"] = "itself"
    key: Literal["right", "other scope", "stranger's", "none"] = "right"
    off_ms: int = 0


def flipped(name: str, bit: int) -> Mutation:
    def change(right: Fields, _: Fields) -> Fields:
        if name not in right:
            return {**right, name: "AAAAAAAAAAAAAAAAAAAAAA=="}
        data = bytearray(base64.b64decode(right[name]))
        at = bit % (len(data) * 8)
        data[at // 8] ^= 1 << at % 8
        return {**right, name: base64.b64encode(data).decode()}

    return Mutation(f"bit {bit} of {name} flipped", change)


def without(name: str) -> Mutation:
    return Mutation(f"without {name}", lambda right, _: {key: value for key, value in right.items() if key != name})


def junk(name: str, value: Any) -> Mutation:
    return Mutation(f"{name} is {value!r:.20}", lambda right, _: {**right, name: value})


def swapped(name: str) -> Mutation:
    """With the field of another envelope, or with one that this version does not have."""

    def change(right: Fields, other: Fields) -> Fields:
        invented = {"nonce": "AAAAAAAAAAAAAAAAAAAAAA==", "timestamp": 1_700_000_000_000, "temporaryKeyId": "key"}
        return {**right, name: other.get(name, invented.get(name))}

    return Mutation(f"{name} of another envelope", change)


def body(content: bytes) -> Mutation:
    return Mutation(f"body {content!r:.20}", lambda _right, _other: msgspec.Raw(content))


MUTATIONS = st.one_of(
    st.builds(flipped, st.sampled_from(BASE64_FIELDS), st.integers(0, 4096)),
    st.builds(without, st.sampled_from(ALL_FIELDS)),
    st.builds(junk, st.sampled_from(ALL_FIELDS), st.sampled_from(JUNK)),
    st.builds(swapped, st.sampled_from(ALL_FIELDS)),
    st.builds(body, st.sampled_from([b"", b"{}", b"[]", b"null", b"\xff\xfe", b'"text"', b"{" * 3000, b'{"mac":'])),
    st.builds(
        lambda info: Mutation(f"made for {info}", shared_info1=info),
        st.sampled_from([SH1_APPLICATION, SH1_ACTIVATION, SH1_TOKEN_CREATE, SH1_VAULT_UNLOCK, SH1_UPGRADE, "/x"]),
    ),
    st.builds(
        lambda version: Mutation(f"header says {version}", header_version=version),
        st.sampled_from([*ALL_VERSIONS, "4.0", "2.1", ""]),
    ),
    st.builds(
        lambda who: Mutation(f"header names {who}", header_id=who),
        st.sampled_from(["stranger", "nobody", "no one", "x" * 64]),
    ),
    st.just(Mutation("sealed by another phone", sealed_by="stranger")),
    st.builds(
        lambda key: Mutation(f"made for a key: {key}", key=key),
        st.sampled_from(["other scope", "stranger's", "none"]),
    ),
    st.builds(lambda off: Mutation(f"{off} ms off", off_ms=off), st.sampled_from([-(10**12), -70_000, 70_000, 10**12])),
)


def is_none(mutation: Mutation, version: str, shared_info1: str, *, activation: bool) -> bool:
    """Whether what the mutation changes outside the fields means nothing in this version and scope."""
    spoken = protocol_version(version)
    harmless = [
        mutation.shared_info1 in (None, shared_info1),
        mutation.header_version in (None, version),
        mutation.header_id is None or not activation,
        mutation.sealed_by == "itself" or not activation,
        mutation.off_ms == 0 or not spoken.envelope_timestamp,
        mutation.key == "right"
        # Keys of application scope belong to the app; a version without temporary keys has none to leave out.
        or (mutation.key == "stranger's" and spoken.temporary_keys and not activation)
        or (mutation.key == "none" and not spoken.temporary_keys),
    ]
    return all(harmless)


def same_fields(right: Fields, sent: Any) -> bool:
    """Whether the server reads the same from both; null is as good as absent."""
    return isinstance(sent, dict) and present(right) == present(sent)


def present(fields: Fields) -> Fields:
    return {name: value for name, value in fields.items() if value is not None}

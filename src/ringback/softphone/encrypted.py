"""Requests that the phone encrypts, without I/O, in every protocol version.

Source: PowerAuth specification, "End-to-End Encryption". A version with temporary keys encrypts for one of these; the
others for the app's master key or, in activation scope, for the server's key of this activation. What is signed as well
is made by `client.begin_encrypted_signed`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import msgspec

from ringback.protocols.powerauth.ecies import EciesEnvelope, EciesResponse, activation_base, application_base
from ringback.protocols.powerauth.ecies_client import EciesClientSession, seal_request
from ringback.protocols.powerauth.errors import PowerAuthProtocolError
from ringback.protocols.powerauth.headers import ENCRYPTION_HEADER, EncryptionHeader, build_encryption_header
from ringback.protocols.powerauth.keys import public_key_from_bytes
from ringback.protocols.powerauth.temporary_key_client import TemporaryKey
from ringback.protocols.powerauth.versions import ProtocolVersion, protocol_version
from ringback.softphone.configuration import AppConfiguration, read_configuration
from ringback.softphone.errors import ServerNotGenuine
from ringback.softphone.state import PhoneState
from ringback.softphone.wire import PhoneRequest

Random = Callable[[int], bytes]
T = TypeVar("T")


def seal_for_app(
    configuration: AppConfiguration,
    version: ProtocolVersion,
    shared_info1: str,
    content: object,
    *,
    temporary_key: TemporaryKey | None,
    random: Random,
    now_ms: int,
) -> tuple[EciesEnvelope, EciesClientSession]:
    """An envelope of application scope. `content` becomes JSON; `now_ms` is the server's time.

    temporary_key: None in versions that have none.
    """
    return seal_request(
        msgspec.json.encode(content),
        version=version,
        public_key=configuration.master_public if temporary_key is None else temporary_key.public_key,
        shared_info1=shared_info1,
        base=application_base(configuration.app_secret),
        application_key=configuration.app_key,
        random=random,
        now_ms=now_ms,
        temporary_key_id=None if temporary_key is None else temporary_key.key_id,
    )


def seal_for_activation(
    state: PhoneState,
    shared_info1: str,
    content: object,
    *,
    temporary_key: TemporaryKey | None,
    random: Random,
    now_ms: int,
) -> tuple[EciesEnvelope, EciesClientSession]:
    """An envelope of activation scope; arguments as in `seal_for_app`."""
    configuration = read_configuration(state.sdk_config)
    lasting = public_key_from_bytes(state.server_public_key)
    return seal_request(
        msgspec.json.encode(content),
        version=protocol_version(state.protocol_version),
        public_key=lasting if temporary_key is None else temporary_key.public_key,
        shared_info1=shared_info1,
        base=activation_base(state.transport_key, configuration.app_secret),
        application_key=configuration.app_key,
        random=random,
        now_ms=now_ms,
        activation_id=state.activation_id,
        temporary_key_id=None if temporary_key is None else temporary_key.key_id,
    )


def begin_encrypted(
    state: PhoneState,
    path: str,
    shared_info1: str,
    content: object,
    *,
    temporary_key: TemporaryKey | None,
    random: Random,
    now_ms: int,
) -> tuple[PhoneRequest, EciesClientSession]:
    """An encrypted POST of activation scope that nothing else proves."""
    envelope, session = seal_for_activation(
        state, shared_info1, content, temporary_key=temporary_key, random=random, now_ms=now_ms
    )
    app_key = read_configuration(state.sdk_config).app_key
    header = EncryptionHeader(session.version, app_key, state.activation_id)
    headers = {ENCRYPTION_HEADER: build_encryption_header(header)}
    return PhoneRequest(path, msgspec.json.encode(envelope), headers), session


def begin_encrypted_for_app(
    configuration: AppConfiguration,
    version: ProtocolVersion,
    path: str,
    shared_info1: str,
    content: object,
    *,
    temporary_key: TemporaryKey | None,
    random: Random,
    now_ms: int,
) -> tuple[PhoneRequest, EciesClientSession]:
    """An encrypted POST of application scope."""
    envelope, session = seal_for_app(
        configuration, version, shared_info1, content, temporary_key=temporary_key, random=random, now_ms=now_ms
    )
    header = build_encryption_header(EncryptionHeader(version, configuration.app_key))
    return PhoneRequest(path, msgspec.json.encode(envelope), {ENCRYPTION_HEADER: header}), session


def finish_encrypted(session: EciesClientSession, answer: EciesResponse, shape: type[T]) -> T:
    """The opened answer as `shape`. Raises ServerNotGenuine."""
    try:
        return msgspec.json.decode(session.open_response(answer), type=shape)
    except (PowerAuthProtocolError, msgspec.DecodeError) as error:
        raise ServerNotGenuine(cause=error) from error

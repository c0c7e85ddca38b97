"""The `<token>` that a phone sends to `/cucm-uds/user/{userid}/device/{devicePkid}/devicetoken`: where it is reached.

Cisco's User Data Services (UDS), resource `devicetoken`; the elements as the guides for iOS and Android apps print
them: `pushNotifyToken`, `pushChannelType`, `key`, `algorithm`, `application`, `payloadVersion`. UDS policy: an absent
element leaves a value as it is, an empty one sets its default.
"""

from __future__ import annotations

from typing import Literal, NoReturn
from xml.parsers import expat

import msgspec
from msgspec import UNSET, UnsetType

from ringback.protocols.push_token_forms import (
    APNS_HINT,
    FCM_HINT,
    apns_push_token,
    encryption_key,
    is_fcm_push_token,
)

Channel = Literal["APNS", "APNS:dev", "FCM"]

CHANNELS: tuple[Channel, ...] = ("APNS", "APNS:dev", "FCM")
ALGORITHM = "A256GCM"
PAYLOAD_VERSION = "V2"
MAX_BYTES = 16_384
MAX_DEPTH = 8
MAX_ELEMENTS = 64
MAX_APPLICATION = 255
_ROOT = "token"
_FIELDS = frozenset({"pushNotifyToken", "pushChannelType", "key", "algorithm", "application", "payloadVersion"})
_ENCODINGS = frozenset({"utf-8", "us-ascii", "ascii"})


class UdsTokenError(ValueError):
    """The body is not such a token. `field`: the element that is wrong, `body` for the whole; `hint`: what to do."""

    def __init__(self, field: str, hint: str) -> None:
        super().__init__(f"{field}: {hint}")
        self.field = field
        self.hint = hint


class TokenUpdate(msgspec.Struct, frozen=True):
    """What one PUT changes; UNSET stays as it is.

    `key`: 32 bytes, or None for no encryption, the default. Of APNs the push token is in lower case.
    """

    push_token: str | UnsetType = UNSET
    channel: Channel | UnsetType = UNSET
    key: bytes | UnsetType | None = UNSET
    application: str | UnsetType = UNSET

    def __repr__(self) -> str:
        """Without the key and the push token."""
        return f"TokenUpdate({self.channel}, {self.application})"


def read_token(body: bytes) -> TokenUpdate:
    """The elements of a `<token>`, checked one by one. Raises UdsTokenError.

    Elements may come in any order and in any namespace; unknown ones, comments and attributes are ignored. What an app
    cannot have meant (another algorithm, another version) is refused although nothing of it is stored.
    """
    values = _Reader().read(body)
    if values.get("algorithm", "") not in ("", ALGORITHM):
        _refuse("algorithm", f"It must be {ALGORITHM}.")
    if values.get("payloadVersion", "") not in ("", PAYLOAD_VERSION):
        _refuse("payloadVersion", f"It must be {PAYLOAD_VERSION}.")
    channel = _channel(values.get("pushChannelType"))
    return TokenUpdate(
        _push_token(values.get("pushNotifyToken")),
        channel,
        _key(values.get("key")),
        _application(values.get("application")),
    )


def check_push_token(push_token: str, channel: Channel) -> str:
    """The push token as it is stored: of APNs in lower case, since it is a number. Raises UdsTokenError."""
    if channel == "FCM":
        return push_token
    stored = apns_push_token(push_token)
    if stored is None:
        _refuse("pushNotifyToken", f"Send the PushKit token of the app {APNS_HINT}.")
    return stored


def _channel(text: str | None) -> Channel | UnsetType:
    if text is None:
        return UNSET
    if text not in CHANNELS:
        _refuse("pushChannelType", f"It must be one of {', '.join(CHANNELS)}.")
    return text


def _push_token(text: str | None) -> str | UnsetType:
    if text is None:
        return UNSET
    if not text:
        _refuse("pushNotifyToken", "It has no default. DELETE the devicetoken when the phone is not to be reached.")
    if not is_fcm_push_token(text):
        _refuse("pushNotifyToken", FCM_HINT)
    return text


def _key(text: str | None) -> bytes | UnsetType | None:
    if text is None:
        return UNSET
    if not text:
        return None
    try:
        return encryption_key(text)
    except ValueError as error:
        raise UdsTokenError("key", str(error)) from error


def _application(text: str | None) -> str | UnsetType:
    if text is None:
        return UNSET
    if not 1 <= len(text) <= MAX_APPLICATION:
        _refuse("application", f"It is the id of the app, 1 to {MAX_APPLICATION} characters.")
    return text


def _refuse(field: str, hint: str) -> NoReturn:
    raise UdsTokenError(field, hint)


def _is_utf8(body: bytes) -> bool:
    """Asked before expat is, which would read UTF-16 whatever it is told."""
    try:
        return "\0" not in body.decode()
    except UnicodeDecodeError:
        return False


class _Reader:
    """Reads the elements from a stream of events, so that nothing deep or large is ever built.

    A document type, and with it every entity, is refused before anything of it is read.
    """

    def __init__(self) -> None:
        self._values: dict[str, str] = {}
        self._path: list[str] = []
        self._text: list[str] = []
        self._elements = 0

    def read(self, body: bytes) -> dict[str, str]:
        """The text of each known element that is there."""
        if len(body) > MAX_BYTES:
            _refuse("body", f"It must not be longer than {MAX_BYTES} bytes.")
        if not _is_utf8(body):
            _refuse("body", "It must be one XML document in UTF-8.")
        parser = expat.ParserCreate("utf-8", " ")
        parser.XmlDeclHandler = self._declaration
        parser.StartDoctypeDeclHandler = self._doctype
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        try:
            parser.Parse(body, True)
        except expat.ExpatError as error:
            reason = expat.ErrorString(error.code)
            raise UdsTokenError(
                "body", f"It must be one XML document in UTF-8: {reason}, line {error.lineno}."
            ) from error
        return self._values

    def _declaration(self, _version: str, encoding: str | None, _standalone: int) -> None:
        if encoding is not None and encoding.lower() not in _ENCODINGS:
            _refuse("body", "It must be one XML document in UTF-8.")

    def _doctype(self, *_: object) -> None:
        _refuse("body", "It must have no document type (DOCTYPE): entities are not read.")

    def _start(self, qualified: str, _attributes: dict[str, str]) -> None:
        name = qualified.rpartition(" ")[2]
        self._elements += 1
        if len(self._path) >= MAX_DEPTH or self._elements > MAX_ELEMENTS:
            _refuse("body", f"At most {MAX_ELEMENTS} elements, and {MAX_DEPTH} in each other.")
        if not self._path and name != _ROOT:
            _refuse("body", f"The outermost element must be <{_ROOT}>.")
        if self._field() is not None:
            _refuse(self._path[1], "It holds text only.")
        self._path.append(name)
        self._text = []
        if self._field() is not None and name in self._values:
            _refuse(name, "It comes twice.")

    def _end(self, _name: str) -> None:
        field = self._field()
        if field is not None:
            self._values[field] = "".join(self._text).strip()
        self._path.pop()

    def _characters(self, text: str) -> None:
        if self._field() is not None:
            self._text.append(text)

    def _field(self) -> str | None:
        """The known element that the reader is in."""
        is_field = len(self._path) == 2 and self._path[1] in _FIELDS
        return self._path[1] if is_field else None

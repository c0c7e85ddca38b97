"""Answers that several rooms share."""

from __future__ import annotations

from typing import Generic, TypeVar

import msgspec

from ringback.errors import Violation

T = TypeVar("T")


class Envelope(msgspec.Struct, Generic[T], frozen=True, rename="camel"):
    """What a phone gets: `{"status":"OK","responseObject":…}` (PowerAuth RESTful model)."""

    response_object: T
    status: str = "OK"


class Ok(msgspec.Struct, frozen=True):
    """`{"status":"OK"}`: done, and nothing more to say."""

    status: str = "OK"


class ErrorObject(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """The code that a program reads and the sentence that a person reads."""

    code: str
    message: str
    violations: tuple[Violation, ...] = ()
    current_recovery_puk_index: int | None = None
    """Only of ERR_RECOVERY: which PUK the phone has to ask for."""


class ErrorEnvelope(msgspec.Struct, frozen=True, rename="camel"):
    """`{"status":"ERROR","responseObject":{code, message}}` of PowerAuth Cloud and of the mobile API."""

    response_object: ErrorObject
    status: str = "ERROR"


class Problem(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """Problem details (RFC 9457) of the native API."""

    title: str
    status: int
    detail: str
    type: str = "about:blank"
    code: str = ""
    violations: tuple[Violation, ...] = ()

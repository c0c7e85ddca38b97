"""Errors as the reader of each API expects them, in one place."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import structlog
from litestar import MediaType, Request, Response
from litestar.exceptions import HTTPException

from ringback.errors import (
    BodyTooLarge,
    InvalidMobileRequest,
    InvalidRequest,
    MethodNotAllowed,
    NotAuthenticated,
    NotFound,
    RecoveryInvalid,
    RingbackError,
    Violation,
)
from ringback.http.methods import allow_header
from ringback.http.schema import ErrorEnvelope, ErrorObject, Problem
from ringback.http.xml import MEDIA_TYPE, XmlError, xml_errors

_log = structlog.get_logger("ringback.http")
_ENVELOPED = ("/powerauth-cloud", "/enrollment-server")
_IN_XML = "/cucm-uds"
SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_FROM_STATUS: dict[int, type[RingbackError]] = {404: NotFound, 405: MethodNotAllowed, 413: BodyTooLarge}
_HUNG_UP = "client disconnected prematurely"
"""Litestar's words for a client that went before its body was whole: nothing went wrong here, and nobody listens."""
_MISSING = re.compile(r"Missing required \w+ parameter '(.+?)' for path")
_encoder = msgspec.json.Encoder()


def render_error(request: Request[Any, Any, Any], exception: Exception) -> Response[bytes]:
    """The answer to a request that raised. What went wrong inside goes to the log, never to the outsider."""
    error = _translate(request, exception)
    path = request.scope["path"]
    if error.status >= 500:
        _log.error(
            "request failed",
            method=request.method,
            path=path,
            error=type(error).__name__,
            reason=str(exception.__cause__ or exception),
            exc_info=exception if error.status == 500 else None,
        )
    headers = {}
    allowed = getattr(exception, "headers", None) or {}
    if error.status == 405 and "allow" in allowed:
        headers["Allow"] = allow_header(set(allowed["allow"].split(", ")))
    if error.status == 401 and not path.startswith("/enrollment-server"):
        headers["WWW-Authenticate"] = _challenges(error)
    if error.retry_after is not None:
        headers["Retry-After"] = str(error.retry_after)
    body, media_type = error_body(path, error)
    return Response(body, status_code=error.status, media_type=media_type, headers=headers)


def _challenges(error: RingbackError) -> str:
    """The WWW-Authenticate header field; several challenges stand in one, for all clients can read that."""
    offered = error.challenges if isinstance(error, NotAuthenticated) else ()
    return ", ".join(offered) or getattr(error, "challenge", NotAuthenticated.challenge)


def error_body(path: str, error: RingbackError) -> tuple[bytes, str]:
    """The body in the words of the API that the path belongs to, and its media type."""
    if path.startswith(_ENVELOPED):
        code = error.code
        if isinstance(error, InvalidRequest) and path.startswith("/enrollment-server"):
            code = InvalidMobileRequest.code
        puk_index = error.current_puk_index if isinstance(error, RecoveryInvalid) else None
        shown = ErrorEnvelope(ErrorObject(code, error.message, error.violations, puk_index))
        return _encoder.encode(shown), MediaType.JSON
    if path.startswith(_IN_XML):
        field = error.violations[0].field_name if error.violations else None
        return xml_errors(XmlError(error.code, error.message, field)), MEDIA_TYPE
    problem = Problem(
        title=type(error).__name__,
        status=error.status,
        detail=error.message,
        code=error.code,
        violations=error.violations,
    )
    return _encoder.encode(problem), "application/problem+json"


def _translate(request: Request[Any, Any, Any], exception: Exception) -> RingbackError:
    if isinstance(exception, RingbackError):
        return exception
    if not isinstance(exception, HTTPException):
        return RingbackError(cause=exception)
    if exception.status_code == 401:
        return NotAuthenticated(cause=exception)
    if exception.status_code in _FROM_STATUS:
        return _FROM_STATUS[exception.status_code](cause=exception)
    if exception.status_code >= 500 and exception.detail != _HUNG_UP:
        return RingbackError(cause=exception)
    return _invalid(request, exception)


def _invalid(request: Request[Any, Any, Any], exception: HTTPException) -> InvalidRequest:
    """Litestar refused a path or query parameter: says which."""
    found = exception.extra if isinstance(exception.extra, list) else []
    violations = tuple(
        Violation(_wire_name(request, str(item.get("key", "request"))), None, str(item.get("message", "")))
        for item in found
        if isinstance(item, dict)
    )
    if missing := _MISSING.match(exception.detail):
        violations = (Violation(missing.group(1), None, "This parameter is required."),)
    message = f"{violations[0].field_name}: {violations[0].hint}" if violations else None
    return InvalidRequest(message, cause=exception, violations=violations)


def _wire_name(request: Request[Any, Any, Any], python_name: str) -> str:
    """The parameter's name as the caller writes it: `userId` for `user_id`."""
    scope: Any = request.scope
    handler = scope.get("route_handler")
    field = handler.parsed_fn_signature.parameters.get(python_name) if handler is not None else None
    definition = field.kwarg_definition if field is not None else None
    name: str | None = getattr(definition, "name", None)
    return name or python_name

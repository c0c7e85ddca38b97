"""What OpenAPI says about a handler beyond its signature: request body, header fields, errors, security."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, cast

import msgspec
from litestar.openapi.spec import OpenAPIMediaType, OpenAPIResponse, Operation, Parameter, RequestBody, Schema

from ringback.http.schema import ErrorEnvelope, Problem
from ringback.http.xml import MEDIA_TYPE, XmlErrors

_REFUSALS = {
    "400": "The request was refused; the message says what to do.",
    "401": "Not authenticated.",
    "403": "Not allowed for this role.",
    "404": "Nothing at this address.",
    "409": "It is there already, or something else needs it.",
    "413": "The body is too large.",
    "429": "Too many wrong passwords; wait as long as Retry-After says.",
    "431": "The header fields or the address are too large.",
    "503": "The database does not answer, or there is too much to do at a time; try again.",
}
Decrypted = tuple[Sequence[type[msgspec.Struct]], Sequence[type[msgspec.Struct]]]
"""What an encrypted request and its answer hold: a Struct for each layer of encryption, the outer one first."""


def json_schema(shape: type[msgspec.Struct]) -> dict[str, Any]:
    """The JSON schema of a Struct with every reference unfolded."""
    whole = msgspec.json.schema(shape)
    definitions = whole.pop("$defs", {})

    def unfold(node: Any) -> Any:
        if isinstance(node, dict):
            if "$ref" in node:
                return unfold(definitions[node["$ref"].rpartition("/")[2]])
            # A discriminator names definitions, of which there are none any more.
            return {key: unfold(item) for key, item in node.items() if key != "discriminator"}
        if isinstance(node, list):
            return [unfold(item) for item in node]
        return node

    unfolded: dict[str, Any] = unfold(whole)
    return unfolded


@dataclass
class _Described(Operation):
    """An operation with what Litestar cannot know; `describe` makes the class of each handler, and says the rest."""

    decrypted_request: Any = field(default=None, metadata={"alias": "x-decrypted-request"})
    decrypted_response: Any = field(default=None, metadata={"alias": "x-decrypted-response"})
    handler: ClassVar[_Handler]

    def __post_init__(self) -> None:
        sealed, answered = self.handler.decrypted
        self.decrypted_request = [json_schema(layer) for layer in sealed] or None
        self.decrypted_response = [json_schema(layer) for layer in answered] or None
        request = self.handler.request
        if request is not None:
            body: Any = json_schema(request)
            kind = "application/json"
            if self.handler.xml:
                kind, body["xml"] = MEDIA_TYPE, {"name": getattr(request, "xml_name", request.__name__)}
            self.request_body = RequestBody(
                content={kind: OpenAPIMediaType(schema=body)},
                required=any(f.required for f in msgspec.structs.fields(request)),
            )
        described = [
            Parameter(name=name, param_in="header", required=required, schema=Schema(type="string"))  # type: ignore[arg-type]
            for name, required in self.handler.header_fields
        ]
        if described:
            self.parameters = [*(self.parameters or []), *described]
        self.responses = {
            **{code: text for code, text in (self.responses or {}).items() if code == str(self.handler.status)},
            **self.handler.refusals(),
        }
        if self.handler.role is not None:
            people: list[dict[str, list[str]]] = [{scheme: []} for scheme in self.handler.schemes]
            self.security = people if self.handler.role == "user" else [{"basic": []}, {"bearer": []}]


@dataclass(frozen=True)
class _Handler:
    """What a room says about one of its handlers."""

    face: str
    request: type[msgspec.Struct] | None
    role: str | None
    status: int
    header_fields: list[tuple[str, bool]]
    decrypted: Decrypted
    xml: bool
    may_conflict: bool
    schemes: Sequence[str]

    def refusals(self) -> dict[str, OpenAPIResponse]:
        """What may go wrong, by HTTP status."""
        is_native = self.face == "native"
        if self.xml:
            kind, schema = MEDIA_TYPE, _xml_errors_schema()
        else:
            kind = "application/problem+json" if is_native else "application/json"
            schema = json_schema(Problem if is_native else ErrorEnvelope)
        absent = {"409"} if not (is_native and self.may_conflict) else set()
        if self.role is None and self.face != "mobile":
            absent |= {"401", "403"}
        if self.role != "user":
            absent.add("429")
        return {
            code: OpenAPIResponse(description=text, content={kind: OpenAPIMediaType(schema=cast("Schema", schema))})
            for code, text in _REFUSALS.items()
            if code not in absent
        }


def _xml_errors_schema() -> dict[str, Any]:
    return {**json_schema(XmlErrors), "xml": {"name": "errors"}}


def describe(
    face: str,
    request: type[msgspec.Struct] | None,
    role: str | None,
    status: int,
    *,
    header: Sequence[str] = (),
    optional_header: Sequence[str] = (),
    decrypted: Decrypted | None = None,
    xml: bool = False,
    may_conflict: bool = False,
    schemes: Sequence[str] = ("basic",),
) -> type[Operation]:
    """The Operation class of one handler, completed after Litestar filled in what the signature says.

    `schemes`: how a person may prove who it is, by the names of the security schemes.
    `xml`: bodies are XML; a Struct's `xml_name` is the name of the outermost element.
    `may_conflict`: 409 is among its answers, in the native API.
    `decrypted`: what the encrypted request and answer hold, shown as `x-decrypted-request` and `x-decrypted-response`.
    """
    header_fields = [*((name, True) for name in header), *((name, False) for name in optional_header)]
    handler = _Handler(face, request, role, status, header_fields, decrypted or ((), ()), xml, may_conflict, schemes)
    # A class made in this way costs microseconds; one by the decorator, for each of a hundred handlers, milliseconds.
    return type("Described", (_Described,), {"handler": handler})

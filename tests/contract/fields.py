"""Every field of every PowerAuth call, as OpenAPI describes them: `request.userId`, `query.removed`, `response.flags`.

What travels encrypted is described under `x-decrypted-request` and `x-decrypted-response`: `decrypted request.code`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from tests.contract.documents import operations_of

POWERAUTH = ("/powerauth-cloud/", "/enrollment-server/")


def powerauth_calls(*documents: dict[str, Any]) -> dict[str, set[str]]:
    """`METHOD /path` → its fields."""
    return {
        f"{one.method} {one.path}": set(_fields(document, one.content))
        for document in documents
        for one in operations_of(document)
        if one.path.startswith(POWERAUTH)
    }


def seen_in(where: str, value: Any) -> Iterator[str]:
    """The fields of a JSON value, by the same names; the items of a list have the list's name."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield f"{where}.{name}"
            yield from seen_in(f"{where}.{name}", item)
    elif isinstance(value, list):
        for item in value:
            yield from seen_in(where, item)


def path_pattern(path: str) -> re.Pattern[str]:
    """What matches the addresses of a path with `{parameters}`."""
    return re.compile("[^/]+".join(re.escape(part) for part in re.split(r"\{[^}]*\}", path)) + "$")


def _fields(document: dict[str, Any], operation: dict[str, Any]) -> Iterator[str]:
    for parameter in operation.get("parameters", []):
        if parameter["in"] == "query":
            yield f"query.{parameter['name']}"
    yield from _of_body(document, "request", operation.get("requestBody"))
    yield from _of_body(document, "response", operation["responses"].get("200"))
    for name, layers in (
        ("decrypted request", operation.get("x-decrypted-request")),
        ("decrypted response", operation.get("x-decrypted-response")),
    ):
        for layer in layers or []:
            yield from _of_schema(document, name, layer)


def _of_body(document: dict[str, Any], where: str, body: dict[str, Any] | None) -> Iterator[str]:
    for kind, content in ((body or {}).get("content") or {}).items():
        if "json" in kind:
            yield from _of_schema(document, where, content.get("schema") or {})


def _of_schema(document: dict[str, Any], where: str, schema: dict[str, Any]) -> Iterator[str]:
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    for choice in (*schema.get("anyOf", ()), *schema.get("oneOf", ()), *schema.get("allOf", ())):
        yield from _of_schema(document, where, choice)
    if isinstance(schema.get("items"), dict):
        yield from _of_schema(document, where, schema["items"])
    for name, inner in (schema.get("properties") or {}).items():
        yield f"{where}.{name}"
        yield from _of_schema(document, f"{where}.{name}", inner)

"""The OpenAPI documents of a running server, read the way the tests need them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.served import Served

INTERNAL_DOCUMENT = "/powerauth-cloud/v3/api-docs"
PUBLIC_DOCUMENT = "/powerauth-cloud/v3/api-docs/public"
METHODS = frozenset({"get", "put", "post", "delete", "patch"})


@dataclass(frozen=True)
class Operation:
    """One method at one path of a document."""

    path: str
    method: str
    content: dict[str, Any]

    @property
    def id(self) -> str:
        """operationId."""
        return str(self.content["operationId"])

    @property
    def tags(self) -> list[str]:
        """The groups that Swagger UI shows it in."""
        return list(self.content["tags"])

    def parameters(self, where: str) -> list[str]:
        """Names of its parameters in `path`, `query` or `header`."""
        return [one["name"] for one in self.content.get("parameters", []) if one["in"] == where]


def operations_of(document: dict[str, Any]) -> Iterator[Operation]:
    """Every operation of a document."""
    for path, item in document["paths"].items():
        for method, content in item.items():
            if method in METHODS:
                yield Operation(path, method.upper(), content)


async def documents_of(served: Served) -> tuple[dict[str, Any], dict[str, Any]]:
    """The documents of the public and of the internal listener."""
    public = await served.call("GET", PUBLIC_DOCUMENT)
    internal = await served.call("GET", INTERNAL_DOCUMENT)
    return public.body, internal.body

"""The only file that names every room: an installation in, the wired rooms and the two applications out."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

from litestar import Litestar

from ringback import observe
from ringback.access import AccessService, BasicAuthenticator
from ringback.access import api as access_api
from ringback.apps import AppsService
from ringback.apps import api as apps_api
from ringback.audit import AuditLog
from ringback.events import Events
from ringback.http import Routes
from ringback.http.app import make_app, openapi_json
from ringback.http.edge import Edge
from ringback.http.swagger import documentation_routes
from ringback.installation import Installation
from ringback.jobs import Job
from ringback.settings import Settings, parse_listen
from ringback.store import Tx


@dataclass(frozen=True)
class Rooms:
    """Every room's service. `stopping` is set when the server begins to stop, so that open streams end."""

    audit: AuditLog
    events: Events
    apps: AppsService
    access: AccessService
    authenticator: BasicAuthenticator
    jobs: Sequence[Job] = ()
    stopping: asyncio.Event = field(default_factory=asyncio.Event)

    async def seed(self, tx: Tx) -> None:
        """A unit of work: what a fresh installation has from the start."""


def wire(installation: Installation) -> Rooms:
    """Constructs the rooms, lowest first."""
    clock, randomness, vault = installation.clock, installation.randomness, installation.vault
    events = Events()
    audit = AuditLog(clock=clock, randomness=randomness)
    apps = AppsService(clock=clock, randomness=randomness, vault=vault, audit=audit)
    access = AccessService(clock=clock, randomness=randomness, vault=vault, apps=apps, audit=audit)
    authenticator = BasicAuthenticator(store=installation.store, access=access, vault=vault, clock=clock)
    return Rooms(audit=audit, events=events, apps=apps, access=access, authenticator=authenticator)


def make_apps(installation: Installation, rooms: Rooms) -> tuple[Any, Any]:
    """The public and the internal application, each inside its edge."""
    settings, store = installation.settings, installation.store
    routes: Routes = sum(
        (
            observe.routes(store),
            apps_api.routes(store, rooms.apps, settings.public_base),
            access_api.routes(store, rooms.access),
        ),
        Routes(),
    )
    public: Litestar
    internal: Litestar
    documents = documentation_routes(lambda: openapi_json(internal), lambda: openapi_json(public))
    shared: dict[str, Any] = {
        "version": version("ringback"),
        "authenticator": rooms.authenticator,
        "body_limit_bytes": settings.body_limit_bytes,
    }
    public = make_app(routes.public, title="Ringback: phones", server_url=settings.public_base, **shared)
    internal = make_app(
        (routes + documents).internal, title="Ringback: back ends", server_url=settings.internal_base, **shared
    )
    return (
        Edge(public, trusted_proxies=settings.trusted_proxies, hosts=None),
        Edge(internal, trusted_proxies=settings.trusted_proxies, hosts=_internal_hosts(settings)),
    )


def _internal_hosts(settings: Settings) -> frozenset[str]:
    """The Host names of the internal listener: its own address, this machine's usual names, and the configured ones."""
    own = parse_listen("RINGBACK_INTERNAL_LISTEN", settings.internal_listen)[0]
    named = (name.strip().lower() for name in settings.internal_hosts.split(","))
    return frozenset({own.lower(), "localhost", "127.0.0.1", "::1", *filter(None, named)})

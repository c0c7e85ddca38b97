"""The only file that names every room: an installation in, the wired rooms and the two applications out."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import msgspec

from ringback import observe
from ringback.access import AccessService, BasicAuthenticator
from ringback.access import api as access_api
from ringback.apps import AppsService
from ringback.apps import api as apps_api
from ringback.audit import AuditLog
from ringback.devices import DeviceLimits, DevicesService
from ringback.devices import api as devices_api
from ringback.events import Events
from ringback.http import IdempotencyKeys, Routes
from ringback.http.app import make_app, openapi_json
from ringback.http.edge import Edge
from ringback.http.swagger import documentation_routes
from ringback.installation import Installation
from ringback.jobs import Job
from ringback.messages import LocalStreams, MessagesService
from ringback.messages import api as messages_api
from ringback.operations import OperationsService, TemplatesService
from ringback.operations import api as operations_api
from ringback.outbox import Outbox
from ringback.push import LocalMailbox, LocalProvider, PushChannel, Pushes
from ringback.settings import Settings, parse_listen
from ringback.store import Tx


@dataclass(frozen=True)
class Rooms:
    """Every room's service."""

    audit: AuditLog
    events: Events
    apps: AppsService
    devices: DevicesService
    access: AccessService
    authenticator: BasicAuthenticator
    outbox: Outbox
    streams: LocalStreams
    operations: OperationsService
    templates: TemplatesService
    idempotency_keys: IdempotencyKeys
    jobs: tuple[Job, ...]

    async def seed(self, tx: Tx) -> None:
        """A unit of work: what a fresh installation has from the start."""
        await self.templates.seed_templates(tx)

    def stop_streams(self) -> None:
        """Ends the connections that would otherwise stay open for as long as the phones like."""
        self.streams.close()


def wire(installation: Installation) -> Rooms:
    """Constructs the rooms, lowest first."""
    settings, store, vault = installation.settings, installation.store, installation.vault
    source: dict[str, Any] = {"clock": installation.clock, "randomness": installation.randomness}
    events = Events()
    audit = AuditLog(**source)
    outbox = Outbox(store=store, **source)
    pushes = Pushes(outbox=outbox, kinds=("local",), **source)
    mailbox = LocalMailbox(clock=installation.clock)
    PushChannel(store=store, providers={"local": LocalProvider(store=store, **source)}).plug_into(outbox, pushes)
    apps = AppsService(vault=vault, audit=audit, **source)
    access = AccessService(vault=vault, apps=apps, audit=audit, **source)
    limits = _device_limits(settings)
    devices = DevicesService(vault=vault, apps=apps, access=access, audit=audit, events=events, limits=limits, **source)
    messages = MessagesService(devices=devices, pushes=pushes)
    idempotency_keys = IdempotencyKeys(clock=installation.clock)
    templates = TemplatesService(clock=installation.clock, audit=audit)
    operations = OperationsService(
        access=access, devices=devices, messages=messages, audit=audit, events=events, templates=templates, **source
    )
    return Rooms(
        audit=audit,
        events=events,
        apps=apps,
        devices=devices,
        access=access,
        authenticator=BasicAuthenticator(store=store, access=access, vault=vault, clock=installation.clock),
        outbox=outbox,
        streams=LocalStreams(store=store, mailbox=mailbox, registrations=devices),
        operations=operations,
        templates=templates,
        idempotency_keys=idempotency_keys,
        jobs=(
            Job("registrations that expire", 5, devices.expire_registrations),
            Job("operations that expire", 5, operations.expire_operations),
            Job("nonces and temporary keys", 10, devices.purge),
            Job("deliveries long done", 60, outbox.purge),
            Job("answers under an Idempotency-Key", 60, idempotency_keys.purge),
            Job("mailboxes", 60, mailbox.purge),
            Job("pushes long over", 60, pushes.purge),
        ),
    )


def _device_limits(settings: Settings) -> DeviceLimits:
    """The settings that the room shares by name."""
    names = (field.name for field in msgspec.structs.fields(DeviceLimits))
    return DeviceLimits(**{name: getattr(settings, name) for name in names})


def make_apps(installation: Installation, rooms: Rooms) -> tuple[Any, Any]:
    """The public and the internal application, each inside its edge."""
    settings, store = installation.settings, installation.store
    routes: Routes = sum(
        (
            observe.routes(store),
            apps_api.routes(store, rooms.apps, settings.public_base),
            devices_api.routes(store, rooms.devices),
            messages_api.routes(store, rooms.devices, rooms.streams),
            access_api.routes(store, rooms.access),
            operations_api.routes(store, rooms.operations, rooms.templates, rooms.devices, rooms.idempotency_keys),
        ),
        Routes(),
    )
    release = version("ringback")
    documents = documentation_routes(
        lambda: openapi_json(
            routes.internal, title="Ringback: back ends", version=release, server_url=settings.internal_base
        ),
        lambda: openapi_json(routes.public, title="Ringback: phones", version=release, server_url=settings.public_base),
    )
    shared: dict[str, Any] = {
        "authenticator": rooms.authenticator,
        "body_limit_bytes": settings.body_limit_bytes,
    }
    public = make_app(routes.public, **shared)
    internal = make_app((routes + documents).internal, **shared)
    return (
        Edge(public, trusted_proxies=settings.trusted_proxies, hosts=None),
        Edge(internal, trusted_proxies=settings.trusted_proxies, hosts=_internal_hosts(settings)),
    )


def _internal_hosts(settings: Settings) -> frozenset[str]:
    """The Host names of the internal listener: its own address, this machine's usual names, and the configured ones."""
    own = parse_listen("RINGBACK_INTERNAL_LISTEN", settings.internal_listen)[0]
    named = (name.strip().lower() for name in settings.internal_hosts.split(","))
    return frozenset({own.lower(), "localhost", "127.0.0.1", "::1", *filter(None, named)})

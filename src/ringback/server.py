"""The only file that names every room: an installation in, the wired rooms and the two applications out."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import msgspec

from ringback import observe
from ringback.access import (
    AccessService,
    Authenticators,
    BasicAuthenticator,
    BearerAuthenticator,
    BearerSettings,
)
from ringback.access import api as access_api
from ringback.apps import AppConfiguration, AppsService, api_configuration
from ringback.apps import api as apps_api
from ringback.audit import AuditLog, AuditReader
from ringback.audit import api as audit_api
from ringback.callbacks import Announcer, CallbackChannel, CallbacksService
from ringback.callbacks import api as callbacks_api
from ringback.devices import DeviceLimits, DevicesService, OutsideIdentities
from ringback.devices import api as devices_api
from ringback.directory import DirectoryService
from ringback.directory import api as directory_api
from ringback.egress import Egress
from ringback.events import Events
from ringback.http import IdempotencyKeys, Routes
from ringback.http.app import make_app, openapi_json
from ringback.http.edge import Edge
from ringback.http.swagger import documentation_routes
from ringback.installation import Installation
from ringback.jobs import Job
from ringback.messages import LocalStreams, MessagesService
from ringback.messages import api as messages_api
from ringback.openid import OpenIdClient
from ringback.operations import OperationsService, TemplatesService
from ringback.operations import api as operations_api
from ringback.outbox import Outbox
from ringback.push import LocalMailbox, LocalProvider, PushChannel, Pushes
from ringback.settings import Settings, parse_listen, parse_networks, parse_ports
from ringback.store import Tx


@dataclass(frozen=True)
class Rooms:
    """Every room's service."""

    egress: Egress
    audit: AuditLog
    audit_reader: AuditReader
    events: Events
    apps: AppsService
    app_configuration: AppConfiguration
    directory: DirectoryService
    devices: DevicesService
    access: AccessService
    authenticator: Authenticators
    outbox: Outbox
    streams: LocalStreams
    operations: OperationsService
    templates: TemplatesService
    idempotency_keys: IdempotencyKeys
    callbacks: CallbacksService
    announcer: Announcer
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
    egress = _egress(settings)
    events = Events()
    audit = AuditLog(**source)
    outbox = Outbox(store=store, **source)
    pushes = Pushes(outbox=outbox, kinds=("local",), **source)
    mailbox = LocalMailbox(clock=installation.clock)
    PushChannel(store=store, providers={"local": LocalProvider(store=store, **source)}).plug_into(outbox, pushes)
    apps = AppsService(vault=vault, audit=audit, **source)
    access = AccessService(vault=vault, apps=apps, audit=audit, **source)
    directory = DirectoryService(clock=installation.clock, access=access, audit=audit)
    limits = _device_limits(settings)
    openid = OpenIdClient(egress=egress, clock=installation.clock)
    outside = OutsideIdentities(store=store, configuration=apps, openid=openid, egress=egress)
    devices = DevicesService(
        vault=vault,
        apps=apps,
        access=access,
        audit=audit,
        events=events,
        limits=limits,
        user_info=directory,
        configuration=apps,
        identities=outside,
        providers=outside,
        **source,
    )
    messages = MessagesService(devices=devices, pushes=pushes)
    idempotency_keys = IdempotencyKeys(clock=installation.clock)
    templates = TemplatesService(clock=installation.clock, audit=audit)
    operations = OperationsService(
        access=access,
        devices=devices,
        messages=messages,
        audit=audit,
        events=events,
        templates=templates,
        vault=vault,
        proximity_step_seconds=settings.proximity_check_step_seconds,
        **source,
    )
    callbacks = CallbacksService(vault=vault, apps=apps, access=access, audit=audit, way_out=egress, **source)
    announcer = Announcer(clock=installation.clock, registrations=devices, operations=operations, deliveries=outbox)
    events.subscribe(announcer.hear)
    CallbackChannel(store=store, clock=installation.clock, callbacks=callbacks, way_out=egress).plug_into(outbox)
    return Rooms(
        egress=egress,
        audit=audit,
        audit_reader=AuditReader(access=access),
        events=events,
        apps=apps,
        app_configuration=AppConfiguration(
            clock=installation.clock, reader=apps.configurations, audit=audit, urls=egress
        ),
        directory=directory,
        devices=devices,
        access=access,
        authenticator=Authenticators(
            basic=BasicAuthenticator(store=store, access=access, vault=vault, clock=installation.clock),
            bearer=_bearer(installation, access, openid),
        ),
        outbox=outbox,
        streams=LocalStreams(store=store, mailbox=mailbox, registrations=devices),
        operations=operations,
        templates=templates,
        idempotency_keys=idempotency_keys,
        callbacks=callbacks,
        announcer=announcer,
        jobs=(
            Job("registrations that expire", 5, devices.expire_registrations),
            Job("operations that expire", 5, operations.expire_operations),
            Job("nonces and temporary keys", 10, devices.purge),
            Job("deliveries long done", 60, outbox.purge),
            Job("deliveries to callbacks, kept for less", 60, callbacks.purge),
            Job("answers under an Idempotency-Key", 60, idempotency_keys.purge),
            Job("mailboxes", 60, mailbox.purge),
            Job("pushes long over", 60, pushes.purge),
        ),
    )


def _egress(settings: Settings) -> Egress:
    """The way out, as the settings limit it."""
    return Egress(
        allow=parse_networks(settings.egress_allow, "RINGBACK_EGRESS_ALLOW"),
        ports=parse_ports("RINGBACK_EGRESS_PORTS", settings.egress_ports),
        proxy=settings.egress_proxy,
    )


def _bearer(installation: Installation, access: AccessService, openid: OpenIdClient) -> BearerAuthenticator | None:
    """Takes access tokens of system users, where an issuer is configured."""
    settings = installation.settings
    if not settings.oidc_issuer:
        return None
    claims = BearerSettings(settings.oidc_issuer, settings.oidc_audience, settings.oidc_username_claim)
    return BearerAuthenticator(
        settings=claims, store=installation.store, access=access, openid=openid, clock=installation.clock
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
            api_configuration.routes(store, rooms.app_configuration),
            directory_api.routes(store, rooms.directory),
            devices_api.routes(store, rooms.devices),
            messages_api.routes(store, rooms.devices, rooms.streams),
            access_api.routes(store, rooms.access),
            audit_api.routes(store, rooms.audit_reader, installation.clock),
            operations_api.routes(store, rooms.operations, rooms.templates, rooms.devices, rooms.idempotency_keys),
            callbacks_api.routes(store, rooms.callbacks, rooms.announcer),
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

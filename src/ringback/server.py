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
from ringback.apps import (
    AppConfiguration,
    AppsService,
    CredentialExpiry,
    api_configuration,
    api_push_cloud,
    api_push_credentials,
)
from ringback.apps import api as apps_api
from ringback.audit import AuditLog, AuditReader
from ringback.audit import api as audit_api
from ringback.callbacks import Announcer, CallbackChannel, CallbacksService
from ringback.callbacks import api as callbacks_api
from ringback.calls import ConsideredPushTokens
from ringback.calls import api as calls_api
from ringback.devices import DeadPushTokens, DeviceLimits, DevicesService, OutsideIdentities, UdsDevices, api_uds
from ringback.devices import api as devices_api
from ringback.directory import DirectoryService, PasswordAuthenticator, Passwords, Users, api_users
from ringback.directory import api as directory_api
from ringback.egress import Egress
from ringback.events import Events
from ringback.http import EndUserAuthenticators, IdempotencyKeys, Routes
from ringback.http.app import make_app, openapi_json
from ringback.http.edge import Edge
from ringback.http.swagger import documentation_routes
from ringback.installation import Installation
from ringback.jobs import Job
from ringback.messages import (
    Campaigns,
    Inbox,
    LiveActivities,
    LocalStreams,
    MessageSending,
    MessagesService,
    Tracing,
    api_campaigns,
)
from ringback.messages import api as messages_api
from ringback.openid import OpenIdClient
from ringback.operations import OperationsService, TemplatesService
from ringback.operations import api as operations_api
from ringback.outbox import Outbox
from ringback.push import LocalMailbox
from ringback.server_calls import CallParts, wire_calls
from ringback.server_directory import SipDirectory, directory_routes, wire_directory
from ringback.server_push import PushParts, guarded_egress, wire_push
from ringback.settings import Settings
from ringback.settings_checks import parse_listen
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
    users: Users
    passwords: Passwords
    sip_directory: SipDirectory
    end_users: EndUserAuthenticators
    devices: DevicesService
    uds_devices: UdsDevices
    access: AccessService
    authenticator: Authenticators
    outbox: Outbox
    streams: LocalStreams
    operations: OperationsService
    templates: TemplatesService
    campaigns: Campaigns
    sending: MessageSending
    inbox: Inbox
    activities: LiveActivities
    tracing: Tracing
    push: PushParts
    calls: CallParts
    idempotency_keys: IdempotencyKeys
    callbacks: CallbacksService
    announcer: Announcer
    jobs: tuple[Job, ...]

    async def seed(self, tx: Tx) -> None:
        """A unit of work: what a fresh installation has from the start."""
        await self.templates.seed_templates(tx)

    async def close(self) -> None:
        """Ends what is under way and closes every connection to the outside."""
        await self.calls.close()
        await self.push.close()
        await self.egress.close()

    def stop_streams(self) -> None:
        """Ends the requests that would otherwise stay open for as long as phones and SIP proxies like."""
        self.streams.close()
        self.calls.push_only.stop_waiting()


def wire(installation: Installation) -> Rooms:
    """Constructs the rooms, lowest first."""
    settings, store, vault = installation.settings, installation.store, installation.vault
    source: dict[str, Any] = {"clock": installation.clock, "randomness": installation.randomness}
    egress = guarded_egress(settings)
    events = Events()
    audit = AuditLog(**source)
    outbox = Outbox(store=store, **source)
    push = wire_push(installation, events=events, audit=audit, outbox=outbox)
    mailbox = LocalMailbox(clock=installation.clock)
    apps = AppsService(vault=vault, audit=audit, **source)
    access = AccessService(vault=vault, apps=apps, audit=audit, **source)
    directory = DirectoryService(clock=installation.clock, access=access, audit=audit)
    users = Users(clock=installation.clock, audit=audit, push_tokens=push.tokens)
    passwords = Passwords(randomness=installation.randomness)
    sip_directory = wire_directory(installation, audit=audit, apps=apps, push_tokens=push.tokens)
    limits = _device_limits(settings)
    openid = OpenIdClient(egress=egress, clock=installation.clock)
    outside = OutsideIdentities(store=store, configuration=apps, openid=openid, egress=egress)
    devices = DevicesService(
        vault=vault,
        apps=apps,
        access=access,
        audit=audit,
        events=events,
        push_tokens=push.tokens,
        limits=limits,
        user_info=directory,
        configuration=apps,
        identities=outside,
        providers=outside,
        urls=egress,
        **source,
    )
    events.subscribe(DeadPushTokens(audit=audit).hear)
    messages = MessagesService(devices=devices, pushes=push.pushes, **source)
    telling: dict[str, Any] = {"clock": installation.clock, "access": access, "messages": messages, "audit": audit}
    idempotency_keys = IdempotencyKeys(clock=installation.clock)
    templates = TemplatesService(clock=installation.clock, audit=audit)
    campaigns = Campaigns(apps=apps, access=access, reach=push.tokens, messages=messages, audit=audit, **source)
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
    tracing = Tracing(access=access, calls=ConsideredPushTokens())
    calls = wire_calls(
        installation,
        directory=sip_directory,
        push=push,
        credentials=push.credentials,
        audit=audit,
        events=events,
        urls=egress,
        access=access,
        tracing=tracing,
    )
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
        users=users,
        passwords=passwords,
        sip_directory=sip_directory,
        end_users=EndUserAuthenticators(
            sip_directory.by_http,
            PasswordAuthenticator(
                store=store,
                users=users,
                passwords=passwords,
                attempts_per_minute=settings.uds_attempts_per_minute,
                **source,
            ),
        ),
        devices=devices,
        uds_devices=UdsDevices(push_tokens=push.tokens, users=users, apps=apps, audit=audit),
        access=access,
        authenticator=Authenticators(
            basic=BasicAuthenticator(store=store, access=access, vault=vault, clock=installation.clock),
            bearer=_bearer(installation, access, openid),
        ),
        outbox=outbox,
        streams=LocalStreams(store=store, mailbox=mailbox, registrations=devices),
        operations=operations,
        templates=templates,
        campaigns=campaigns,
        sending=MessageSending(**telling),
        inbox=Inbox(randomness=installation.randomness, **telling),
        activities=LiveActivities(access=access, pushes=push.pushes, audit=audit, **source),
        tracing=tracing,
        push=push,
        calls=calls,
        idempotency_keys=idempotency_keys,
        callbacks=callbacks,
        announcer=announcer,
        jobs=(
            Job("registrations that expire", 5, devices.expire_registrations),
            Job("operations that expire", 5, operations.expire_operations),
            Job("campaigns", 0.5, campaigns.tell),
            Job("notices long over", 60, messages.purge),
            Job("nonces and temporary keys", 10, devices.purge),
            Job("deliveries long done", 60, outbox.purge),
            Job("deliveries to callbacks, kept for less", 60, callbacks.purge),
            Job("answers under an Idempotency-Key", 60, idempotency_keys.purge),
            Job("mailboxes", 60, mailbox.purge),
            Job("pushes long over", 60, push.pushes.purge),
            Job("provider tokens long over", 60, push.provider_tokens.purge),
            Job("push credentials that expire", 60, CredentialExpiry(clock=installation.clock).look),
            *calls.jobs,
        ),
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
            api_push_cloud.routes(rooms.push.desk),
            api_push_credentials.routes(rooms.push.desk),
            directory_api.routes(store, rooms.directory),
            api_users.routes(store, rooms.users, rooms.passwords),
            directory_routes(installation, rooms.sip_directory, rooms.passwords),
            devices_api.routes(store, rooms.devices),
            api_uds.routes(store, rooms.uds_devices),
            messages_api.routes(
                store,
                rooms.devices,
                rooms.streams,
                sending=rooms.sending,
                inbox=rooms.inbox,
                activities=rooms.activities,
                tracing=rooms.tracing,
                idempotency_keys=rooms.idempotency_keys,
            ),
            api_campaigns.routes(store, rooms.campaigns, rooms.idempotency_keys),
            access_api.routes(store, rooms.access),
            audit_api.routes(store, rooms.audit_reader, installation.clock),
            operations_api.routes(store, rooms.operations, rooms.templates, rooms.devices, rooms.idempotency_keys),
            callbacks_api.routes(store, rooms.callbacks, rooms.announcer),
            calls_api.routes(
                store, rooms.calls.records, rooms.calls.push_only, rooms.calls.by_notification, rooms.devices
            ),
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
    public = make_app(routes.public, end_users=rooms.end_users, **shared)
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

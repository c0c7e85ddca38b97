"""The part of `server.py` that constructs what wakes phones for calls, in every process; `server_sip.py` speaks SIP."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ringback.calls import (
    BindingRefresh,
    Bindings,
    ByNotification,
    CallRecords,
    Ending,
    Overdue,
    PhoneNames,
    PushOnly,
    PushServices,
    Reaching,
    Recorder,
    WakeUps,
)
from ringback.jobs import Job

if TYPE_CHECKING:
    from ringback.access import AccessService
    from ringback.apps import PushCredentials
    from ringback.audit import AuditLog
    from ringback.egress import Egress
    from ringback.events import Events
    from ringback.installation import Installation
    from ringback.messages import Tracing
    from ringback.server_directory import SipDirectory
    from ringback.server_push import PushParts


@dataclass(frozen=True)
class CallParts:
    """What was made."""

    directory: SipDirectory
    reaching: Reaching
    wake_ups: WakeUps
    push_only: PushOnly
    ending: Ending
    overdue: Overdue
    records: CallRecords
    by_notification: ByNotification
    bindings: Bindings
    services: PushServices
    purrs: PhoneNames
    refresh: BindingRefresh

    @property
    def jobs(self) -> tuple[Job, ...]:
        """What a worker does from time to time."""
        return (
            Job("calls whose process is gone", 1, self.overdue.end),
            Job("calls long over", 60, self.ending.purge),
            Job("pushes of calls long over", 60, self.ending.purge_pushes),
            Job("bindings to be refreshed", 5, self.refresh.wake),
            Job("bindings that are over", 60, self.bindings.purge),
        )

    async def close(self) -> None:
        """Ends what waits and writes what is not written yet."""
        await self.push_only.close()
        await self.wake_ups.close()


def wire_calls(
    installation: Installation,
    *,
    directory: SipDirectory,
    push: PushParts,
    credentials: PushCredentials,
    audit: AuditLog,
    events: Events,
    urls: Egress,
    access: AccessService,
    tracing: Tracing,
) -> CallParts:
    """Constructs it, lowest first."""
    store, clock = installation.store, installation.clock
    source: dict[str, Any] = {"clock": clock, "randomness": installation.randomness}
    reaching = Reaching(
        store=store, clock=clock, callees=directory.subscribers, push_tokens=push.tokens, lane=push.calls
    )
    recorder = Recorder(store=store, events=events)
    wake_ups = WakeUps(reaching=reaching, lane=push.calls, recorder=recorder, **source)
    ending = Ending(clock=clock, events=events, push_tokens=push.tokens, pushes=push.pushes)
    return CallParts(
        directory=directory,
        reaching=reaching,
        wake_ups=wake_ups,
        push_only=PushOnly(
            store=store,
            clock=clock,
            wake_ups=wake_ups,
            ending=ending,
            events=events,
            audit=audit,
            wake_seconds=installation.settings.wake_seconds,
        ),
        ending=ending,
        overdue=Overdue(clock=clock, ending=ending),
        records=CallRecords(access=access, history=tracing),
        by_notification=ByNotification(store=store, clock=clock, wake_ups=wake_ups),
        bindings=Bindings(push_tokens=push.tokens, **source),
        services=PushServices(
            store=store,
            clock=clock,
            domains=directory.domains,
            apps=credentials,
            credentials=push.live_credentials,
            urls=urls,
        ),
        purrs=PhoneNames(installation.vault),
        refresh=BindingRefresh(clock=clock, push_tokens=push.tokens, pushes=push.pushes),
    )

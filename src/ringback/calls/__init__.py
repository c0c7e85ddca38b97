"""Calls: a phone that sleeps is woken, and the call goes through.

`WakeUps` is the core, one for each process that rings: it reads whom a call can reach (`Reach`), and keeps a `LiveCall`
for each call that waits: its trace, its pushes, its end. The row of a call goes to the store beside it, without being
waited for. What lies above the core speaks SIP, or is told of calls over HTTP by a proxy that suspends them itself.

- the core: `wakeups`, `reaching`; rows: `recording` writes them, `ending` and `overdue` end those that nobody holds
- a call of an INVITE, in both modes: `invited`, `plans`, `ringing`, `recent_calls`, `tasks`; what its caller hears:
  `progress`, `early_media`, `rtp_pump`, `prompts`
- application server: `application_server` takes calls, `waiting` is one, `watched_contacts`, `app_param`; the proxy:
  `kamailio`
- embedded: `embedded` takes calls, `held` is one, `redirect_contacts`, `push_rate`, `sip_proof`; the registrar:
  `registrar`, `register_request`, `bindings`, `binding_refresh`, `push_services`, `purrs`
- over HTTP: `push_only`, `by_notification`; what people read: `records`, `considered`, `showing`
"""

from __future__ import annotations

from ringback.calls.application_server import ApplicationServer, ApplicationServerSettings
from ringback.calls.binding_refresh import BindingRefresh
from ringback.calls.bindings import Bindings
from ringback.calls.by_notification import ByNotification
from ringback.calls.considered import ConsideredPushTokens
from ringback.calls.early_media import EarlyMedia
from ringback.calls.embedded import ANSWERS, EmbeddedServer, EmbeddedSettings
from ringback.calls.ending import Ending
from ringback.calls.kamailio import (
    KAMAILIO_SERVERS_FILE,
    KamailioCredential,
    KamailioPlan,
    KamailioTls,
    kamailio_secret_lines,
    render_kamailio,
    render_kamailio_servers,
)
from ringback.calls.live_call import LiveCall
from ringback.calls.model import MODES, CallsWanted, Considered, NewCall, Outcome, Reach
from ringback.calls.overdue import Overdue
from ringback.calls.progress import CallProgress
from ringback.calls.prompts import Prompts
from ringback.calls.purrs import PhoneNames
from ringback.calls.push_only import PushOnly
from ringback.calls.push_services import PushServices
from ringback.calls.reaching import Reaching
from ringback.calls.recording import Recorder
from ringback.calls.records import CallRecords
from ringback.calls.register_request import Lifetimes
from ringback.calls.registrar import Registrar
from ringback.calls.showing import show_detail as show_call
from ringback.calls.showing import show_item as show_call_item
from ringback.calls.sip_proof import SipProof
from ringback.calls.wakeups import WakeUps

__all__ = [
    "ANSWERS",
    "KAMAILIO_SERVERS_FILE",
    "MODES",
    "ApplicationServer",
    "ApplicationServerSettings",
    "BindingRefresh",
    "Bindings",
    "ByNotification",
    "CallProgress",
    "CallRecords",
    "CallsWanted",
    "Considered",
    "ConsideredPushTokens",
    "EarlyMedia",
    "EmbeddedServer",
    "EmbeddedSettings",
    "Ending",
    "KamailioCredential",
    "KamailioPlan",
    "KamailioTls",
    "Lifetimes",
    "LiveCall",
    "NewCall",
    "Outcome",
    "Overdue",
    "PhoneNames",
    "Prompts",
    "PushOnly",
    "PushServices",
    "Reach",
    "Reaching",
    "Recorder",
    "Registrar",
    "SipProof",
    "WakeUps",
    "kamailio_secret_lines",
    "render_kamailio",
    "render_kamailio_servers",
    "show_call",
    "show_call_item",
]

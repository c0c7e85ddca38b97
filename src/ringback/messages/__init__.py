"""Messages: what a user is told on all their phones.

`MessagesService.fan_out` writes a push, with its delivery, for each push token of a user, in the unit of work of
whatever there is to tell, and a notice that says of each push token why it was used or not; operations and campaigns
use it as well. `MessageSending` is what a back end tells a user itself, `Inbox` what stays on the server until it is
read, `LiveActivities` what an iPhone goes on showing. `Tracing` answers why a push was or was not sent, and what became
of it. `LocalStreams` is the other end of the `local` push provider: the connection that a phone keeps open.
"""

from __future__ import annotations

from ringback.messages.campaigns import Campaigns
from ringback.messages.choosing import ends_of
from ringback.messages.inbox import Inbox
from ringback.messages.live_activities import LiveActivities
from ringback.messages.model import Considered, Notice
from ringback.messages.model_tracing import PushesWanted, Sending
from ringback.messages.schema_campaigns import NewCampaign, UserIds
from ringback.messages.schema_campaigns import detail_of as campaign_detail
from ringback.messages.schema_campaigns import item_of as campaign_item
from ringback.messages.schema_native import ShownPush
from ringback.messages.sending import MessageSending
from ringback.messages.service import MessagesService
from ringback.messages.showing import show_push, show_trace
from ringback.messages.stream import LocalStreams, StreamLimits
from ringback.messages.tracing import Tracing

__all__ = [
    "Campaigns",
    "Considered",
    "Inbox",
    "LiveActivities",
    "LocalStreams",
    "MessageSending",
    "MessagesService",
    "NewCampaign",
    "Notice",
    "PushesWanted",
    "Sending",
    "ShownPush",
    "StreamLimits",
    "Tracing",
    "UserIds",
    "campaign_detail",
    "campaign_item",
    "ends_of",
    "show_push",
    "show_trace",
]

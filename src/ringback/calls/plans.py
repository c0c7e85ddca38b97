"""What the preference `mobile_push_enable` means for a call that the application server holds.

The proxy rings every binding that it has when the call comes back, so "ring these and not those" is decided by when the
call goes back, and by whether it does.
"""

from __future__ import annotations

from typing import NamedTuple


class Plan(NamedTuple):
    """What to do with a call.

    `wakes`: phones may be woken at all. `although_registered`: also when somebody is registered already; then only who
    registers after the push counts. `falls_back`: when the ring time is over and nobody did, the call goes to those who
    were registered before.
    """

    wakes: bool
    although_registered: bool
    falls_back: bool

    @property
    def counts_registered(self) -> bool:
        """Whether a call may go to those who were registered before, now or in the end."""
        return self.falls_back or not self.although_registered


NEVER = Plan(wakes=False, although_registered=False, falls_back=False)
UNLESS_REGISTERED = Plan(wakes=True, although_registered=False, falls_back=True)
ALWAYS = Plan(wakes=True, although_registered=True, falls_back=True)
ONLY_PUSHED = Plan(wakes=True, although_registered=True, falls_back=False)

PLANS = {
    "never": NEVER,
    "always": ALWAYS,
    "no_reg": UNLESS_REGISTERED,
    "only_push": ONLY_PUSHED,
    "reg_then_push": UNLESS_REGISTERED,
    "push_then_reg": ALWAYS,
}
"""By NGCP's value. What is unknown wakes nobody."""


def plan_of(mobile_push_enable: str, *, registered_were_tried: bool) -> Plan:
    """The plan of a preference.

    `registered_were_tried`: this call was given back to those who were registered, without a push, and they did not
    take it. `reg_then_push` has come to its second half then: who rang in vain does not count again.
    """
    if mobile_push_enable == "reg_then_push" and registered_were_tried:
        return ONLY_PUSHED
    return PLANS.get(mobile_push_enable, NEVER)

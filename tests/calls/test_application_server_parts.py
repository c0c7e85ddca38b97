"""The small parts of the application server: preferences, P-App-Param, calls that come back, contacts of a callee."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from ringback.calls.app_param import LONGEST, AppParam, BadAppParam, parse_app_param
from ringback.calls.plans import ALWAYS, NEVER, ONLY_PUSHED, PLANS, UNLESS_REGISTERED, plan_of
from ringback.calls.recent_calls import MOST_DEFLECTS, RecentCalls
from ringback.calls.watched_contacts import WatchedContacts
from ringback.protocols.sip.reginfo import RegisteredContact

# preferences ----------------------------------------------------------------------------------------------------------


def test_each_value_of_ngcp_has_a_plan() -> None:
    assert PLANS == {
        "never": NEVER,
        "always": ALWAYS,
        "no_reg": UNLESS_REGISTERED,
        "only_push": ONLY_PUSHED,
        "reg_then_push": UNLESS_REGISTERED,
        "push_then_reg": ALWAYS,
    }


def test_what_nobody_knows_wakes_nobody() -> None:
    assert plan_of("sometimes", registered_were_tried=False) is NEVER


def test_reg_then_push_pushes_when_those_who_were_registered_rang_in_vain() -> None:
    assert plan_of("reg_then_push", registered_were_tried=False) is UNLESS_REGISTERED
    assert plan_of("reg_then_push", registered_were_tried=True) is ONLY_PUSHED
    assert plan_of("no_reg", registered_were_tried=True) is UNLESS_REGISTERED


def test_only_push_never_counts_those_who_were_registered() -> None:
    counting = {name for name, plan in PLANS.items() if plan.wakes and plan.counts_registered}
    assert counting == {"always", "no_reg", "reg_then_push", "push_then_reg"}


# P-App-Param ----------------------------------------------------------------------------------------------------------


def test_the_header_of_the_reference_is_read() -> None:
    said = parse_app_param("audio_id=7;expiration=45;caller=4312345;callee=bob;domain=example.com")
    assert said == AppParam(audio_id="7", expiration=45, caller="4312345", callee="bob", domain="example.com")


@pytest.mark.parametrize("text", [None, "", ";", "audio_id=;expiration=;caller=", "colour=red", "colour", "x=1;x=2"])
def test_a_header_that_says_nothing_changes_nothing(text: str | None) -> None:
    assert parse_app_param(text) == AppParam()


def test_spaces_and_capitals_of_names_do_not_matter() -> None:
    assert parse_app_param(" Expiration = 30 ; CALLEE=bob") == AppParam(expiration=30, callee="bob")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("expiration=0", "expiration"),
        ("expiration=601", "expiration"),
        ("expiration=-5", "expiration"),
        ("expiration=1e2", "expiration"),
        ("expiration=٣", "expiration"),
        ("expiration=99999", "expiration"),
        ("expiration", "expiration"),
        ("expiration=30;expiration=31", "expiration"),
        ("callee=bob@example.com", "callee"),
        ("callee=b b", "callee"),
        ("domain=exa mple", "domain"),
        ("domain=example.com/x", "domain"),
        ("caller=<sip:a>", "caller"),
        ('audio_id="x"', "audio_id"),
        ("caller=\udcff12", "caller"),
        (f"caller={'9' * 256}", "caller"),
        (f"caller=9{' ' * LONGEST}", "too long"),
    ],
)
def test_what_it_may_not_say_is_refused_by_name(text: str, name: str) -> None:
    with pytest.raises(BadAppParam, match=name):
        parse_app_param(text)


# calls that come back -------------------------------------------------------------------------------------------------


def test_a_call_that_comes_back_is_known_by_call_id_and_callee() -> None:
    recent = RecentCalls()
    first = recent.of("a", "bob@example.com", now=0, keep_seconds=60)
    assert recent.of("a", "bob@example.com", now=30, keep_seconds=60) is first
    assert recent.of("a", "eve@example.com", now=30, keep_seconds=60) is not first
    assert recent.of("b", "bob@example.com", now=30, keep_seconds=60) is not first


def test_after_its_time_a_call_is_a_new_one() -> None:
    recent = RecentCalls()
    first = recent.of("a", "bob@example.com", now=0, keep_seconds=60)
    assert recent.of("a", "bob@example.com", now=61, keep_seconds=60) is not first


def test_a_call_goes_round_so_often_and_no_more() -> None:
    call = RecentCalls().of("a", "bob@example.com", now=0, keep_seconds=60)
    for _ in range(MOST_DEFLECTS):
        assert not call.goes_round
        call.deflects += 1
    assert call.goes_round


def test_only_a_call_that_went_to_the_registered_without_a_push_tried_them() -> None:
    call = RecentCalls().of("a", "bob@example.com", now=0, keep_seconds=60)
    assert not call.registered_were_tried
    call.deflects = 1
    assert call.registered_were_tried
    call.pushed = True
    assert not call.registered_were_tried


def test_calls_are_forgotten_and_never_too_many() -> None:
    recent = RecentCalls(most=100)
    for number in range(1000):
        recent.of(f"{number}", "bob@example.com", now=0, keep_seconds=60)
    assert len(recent) <= 101
    for number in range(200):
        recent.of(f"later {number}", "bob@example.com", now=1000 + number, keep_seconds=0)
    assert len(recent) <= 2


# contacts of a callee -------------------------------------------------------------------------------------------------


PHONE = RegisteredContact(id="1", uri="sip:bob@10.0.0.1", state="active", expires=60)
TABLET = RegisteredContact(id="2", uri="sip:bob@10.0.0.2", state="active", expires=60)


def test_who_has_never_registered_is_not_there() -> None:
    contacts = WatchedContacts()
    assert not contacts.told
    contacts.take_nothing()
    assert contacts.told
    assert not contacts.active


def test_the_first_active_contact_is_new() -> None:
    contacts = WatchedContacts()
    contacts.take_nothing()
    assert contacts.take([PHONE], full=True, now=1) is PHONE
    assert contacts.active


def test_the_same_binding_told_again_is_not_new() -> None:
    contacts = WatchedContacts()
    contacts.take([PHONE], full=True, now=0)
    assert contacts.take([replace(PHONE, expires=50)], full=True, now=10) is None
    assert contacts.take([replace(PHONE, expires=41)], full=True, now=20) is None, "whole seconds are rounded"


def test_a_binding_that_was_refreshed_is_new() -> None:
    contacts = WatchedContacts()
    contacts.take([PHONE], full=True, now=0)
    assert contacts.take([PHONE], full=True, now=10) == PHONE


def test_another_register_of_the_same_second_is_new() -> None:
    contacts = WatchedContacts()
    contacts.take([replace(PHONE, call_id="a", cseq=1)], full=True, now=0)
    assert contacts.take([replace(PHONE, call_id="a", cseq=1)], full=True, now=0.1) is None
    assert contacts.take([replace(PHONE, call_id="a", cseq=2)], full=True, now=0.2) is not None
    assert contacts.take([replace(PHONE, call_id="b", cseq=2)], full=True, now=0.3) is not None


def test_a_second_phone_beside_the_first_is_new() -> None:
    contacts = WatchedContacts()
    contacts.take([PHONE], full=True, now=0)
    assert contacts.take([replace(PHONE, expires=55), TABLET], full=True, now=5) is TABLET


def test_full_state_forgets_what_it_does_not_name_and_partial_state_keeps_it() -> None:
    contacts = WatchedContacts()
    contacts.take([PHONE], full=True, now=0)
    contacts.take([TABLET], full=False, now=1)
    contacts.take([replace(TABLET, state="terminated")], full=False, now=2)
    assert contacts.active
    contacts.take([], full=True, now=3)
    assert not contacts.active


def test_an_empty_notify_keeps_what_was_told() -> None:
    contacts = WatchedContacts()
    contacts.take([PHONE], full=True, now=0)
    contacts.take_nothing()
    assert contacts.active


def test_a_contact_that_has_gone_and_comes_again_is_new() -> None:
    contacts = WatchedContacts()
    contacts.take([PHONE], full=True, now=0)
    assert contacts.take([replace(PHONE, state="terminated")], full=True, now=1) is None
    assert not contacts.active
    assert contacts.take([replace(PHONE, expires=59)], full=True, now=1) is not None


def test_contacts_without_a_lifetime_are_new_once() -> None:
    contacts = WatchedContacts()
    unsaid = replace(PHONE, expires=None)
    assert contacts.take([unsaid], full=True, now=0) is unsaid
    assert contacts.take([unsaid], full=True, now=30) is None

"""What is told, to the letter."""

from __future__ import annotations

import msgspec
import pytest

from ringback.callbacks.durations import duration_ms, format_duration
from ringback.callbacks.model import CallbackType, backoff_ms
from ringback.callbacks.payload import (
    OF_OPERATIONS,
    OF_REGISTRATIONS,
    check_attributes,
    operation_payload,
    registration_payload,
)
from ringback.callbacks.user_agent import Device, parse_user_agent
from ringback.errors import InvalidRequest
from ringback.operations import FoundOperation
from tests.callbacks.rooms import operation, registration

SDK = "PowerAuthNetworking/1.1.7 (en; cellular) com.example.app/2.0.0 (Apple; iOS/16.6.1; iphone12,3)"
DEVICE = {
    "networkVersion": "1.1.7",
    "language": "en",
    "connection": "cellular",
    "product": "com.example.app",
    "version": "2.0.0",
    "platform": "Apple",
    "os": "iOS",
    "osVersion": "16.6.1",
    "model": "iphone12,3",
}


def test_an_operation_with_every_attribute() -> None:
    noted = {"activationId": "r1", "userAgent": SDK, "ipAddress": "192.0.2.1"}
    found = FoundOperation(
        operation(
            user_id="alice",
            status="APPROVED",
            parameters='{"amount":"10"}',
            additional_data=msgspec.json.encode(noted).decode(),
            activation_flag="X",
            failure_count=2,
            external_id="e1",
            finalized_at=3,
        ),
        frozenset({"shop", "bank"}),
    )
    payload = operation_payload(found, OF_OPERATIONS, long_type_names=False)
    assert msgspec.json.decode(payload) == {
        "type": "OPERATION",
        "operationId": "o1",
        "userId": "alice",
        "applications": ["bank", "shop"],
        "operationType": "login",
        "parameters": {"amount": "10"},
        "additionalData": {**noted, "device": DEVICE},
        "activationFlag": "X",
        "status": "APPROVED",
        "data": "A2",
        "failureCount": 2,
        "maxFailureCount": 5,
        "signatureType": ["possession_knowledge"],
        "authenticationCodeType": ["possession_knowledge"],
        "externalId": "e1",
        "timestampCreated": 1,
        "timestampExpires": 2,
        "timestampFinalized": 3,
    }


def test_a_registration_with_every_attribute() -> None:
    changed = registration(
        name="Phone", device_info="iPhone", platform="ios", status="BLOCKED", flags=("A", "B"), blocked_reason="LOST"
    )
    payload = registration_payload(changed, OF_REGISTRATIONS, long_type_names=False)
    assert msgspec.json.decode(payload) == {
        "type": "ACTIVATION",
        "activationId": "r1",
        "userId": "alice",
        "activationName": "Phone",
        "deviceInfo": "iPhone",
        "platform": "ios",
        "protocol": "powerauth",
        "activationFlags": ["A", "B"],
        "activationStatus": "BLOCKED",
        "blockedReason": "LOST",
        "applicationId": "bank",
    }


def test_without_attributes_type_and_id_are_told() -> None:
    found = FoundOperation(operation(), frozenset({"bank"}))
    assert operation_payload(found, (), long_type_names=False) == b'{"type":"OPERATION","operationId":"o1"}'
    long = registration_payload(registration(), ("activationId",), long_type_names=True)
    assert long == b'{"type":"REGISTRATION_STATUS_CHANGE","activationId":"r1"}'
    long = operation_payload(found, (), long_type_names=True)
    assert long == b'{"type":"OPERATION_STATUS_CHANGE","operationId":"o1"}'


def test_a_chosen_attribute_that_is_not_there_is_null() -> None:
    found = FoundOperation(operation(), frozenset({"bank"}))
    payload = operation_payload(found, ("externalId", "activationFlag"), long_type_names=False)
    assert msgspec.json.decode(payload) == {
        "type": "OPERATION", "operationId": "o1", "externalId": None, "activationFlag": None
    }  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "name", "known"),
    [
        ("OPERATION_STATUS_CHANGE", "activationFlag", True),
        ("OPERATION_STATUS_CHANGE", "operationId", True),
        ("OPERATION_STATUS_CHANGE", "activationStatus", False),
        ("REGISTRATION_STATUS_CHANGE", "activationStatus", True),
        ("REGISTRATION_STATUS_CHANGE", "activationId", True),
        ("REGISTRATION_STATUS_CHANGE", "status", False),
    ],
)
def test_attributes_belong_to_a_type(kind: CallbackType, name: str, *, known: bool) -> None:
    if known:
        check_attributes(kind, [name])
        return
    with pytest.raises(InvalidRequest) as refused:
        check_attributes(kind, [name])
    assert refused.value.violations[0].field_name == "attributes"
    assert refused.value.violations[0].invalid_value == name


@pytest.mark.parametrize(
    ("text", "device"),
    [
        (SDK, msgspec.convert(DEVICE, Device)),
        ("PowerAuth2/1.9.0 (iOS 17.1; iPhone14,2)", Device("1.9.0", os="iOS", os_version="17.1")),
        ("PowerAuth/1.9 (Android/14)", Device("1.9", os="Android", os_version="14")),
        ("Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/128.0", None),
        (SDK[:60], None),
        ("PowerAuthNetworking/1.1.7 (" + ";" * 470, None),
        ("", None),
    ],
)
def test_user_agents(text: str, device: Device | None) -> None:
    assert parse_user_agent(text) == device


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("PT2S", 2_000),
        ("PT0.5S", 500),
        ("pt1m30s", 90_000),
        ("P30D", 2_592_000_000),
        ("PT720H", 2_592_000_000),
        ("P1DT1H", 90_000_000),
        ("P2W", 1_209_600_000),
        (1500, 1_500),
    ],
)
def test_durations_of_people_and_of_java(text: str | int, milliseconds: int) -> None:
    assert duration_ms("retentionPeriod", text, least=0, most=10**12) == milliseconds
    assert duration_ms("x", format_duration(milliseconds), least=0, most=10**12) == milliseconds


@pytest.mark.parametrize("text", ["", "P", "PT", "P1M", "P1Y", "30 days", "-PT2S", "P1DT", "PT99S", 99_000, 1])
def test_durations_that_are_none_or_out_of_range(text: str | int) -> None:
    with pytest.raises(InvalidRequest) as refused:
        duration_ms("initialBackoff", text, least=2, most=60_000)
    assert refused.value.violations[0].field_name == "initialBackoff"


def test_durations_are_shown_as_iso_8601() -> None:
    assert [format_duration(ms) for ms in (0, 500, 2_000, 90_000, 3_600_000, 2_592_000_000, 90_061_500)] == [
        "PT0S", "PT0.5S", "PT2S", "PT1M30S", "PT1H", "P30D", "P1DT1H1M1.5S"
    ]  # fmt: skip


def test_pauses_double_up_to_an_hour() -> None:
    pauses = [backoff_ms(2_000, attempts) for attempts in range(1, 16)]
    assert pauses[:4] == [2_000, 4_000, 8_000, 16_000]
    assert pauses[-2:] == [3_600_000, 3_600_000]
    assert 5 * 3_600_000 < sum(pauses) < 6 * 3_600_000
    assert backoff_ms(2_000, 100) == 3_600_000

"""To a back end the objects of another app do not exist: every endpoint answers about them as about unknown ones.

Made from the OpenAPI document: an operation that is not in `ENDPOINTS` fails, so that whoever adds one says here how it
is asked, or that only admins may.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote, urlencode
from uuid import uuid4

import pytest

from ringback.directory import NewSubscriber
from ringback.principal import Principal
from ringback.protocols.powerauth.headers import TOKEN_HEADER
from ringback.softphone import MemoryState, Phone, Unlock
from tests.contract.documents import Operation, documents_of, operations_of
from tests.served import Answer, Login, Served

SIGNED = b"pay"
BIOMETRY = Unlock(biometry=True)
CALLBACK = {
    "name": "hook",
    "type": "OPERATION_STATUS_CHANGE",
    "callbackUrl": "https://hooks.invalid/",
    "enabled": False,
}
MESSAGE = {"title": "News", "message": "There is news."}
INBOX_MESSAGE = {"type": "text", "subject": "News", "summary": "There is news.", "body": "All of it."}
CAMPAIGN = {"name": "News", "texts": {"en": {"title": "News"}}}
LIVE_ACTIVITY = {"pushToken": "5e" * 32, "event": "update", "contentState": {}}
OFFLINE_OTP = {"otp": "1234-5678-1234-5678", "nonce": "AAAAAAAAAAAAAAAAAAAAAA=="}


@dataclass(frozen=True)
class Ids:
    """One of each thing that a request can name."""

    registration_id: str
    operation_id: str
    user_id: str
    app_id: str
    username: str
    signature_header: str
    token_header: str
    callback_id: str = "no-such-callback"
    recovery_code_id: str = "no-such-recovery-code"
    message_id: str = "no-such-message"
    push_id: str = "no-such-push"
    campaign_id: str = "no-such-campaign"
    call_record_id: str = "no-such-call"

    @property
    def path_parameters(self) -> dict[str, str]:
        """By their names in the OpenAPI document. A new name has to be added here."""
        return {
            "registration_id": self.registration_id,
            "operation_id": self.operation_id,
            "app_id": self.app_id,
            "user_id": self.user_id,
            "username": self.username,
            "name": "no-such-template",
            "language": "en",
            "domain": "example.org",
            "key": "recovery",
            "callback_id": self.callback_id,
            "recovery_code_id": self.recovery_code_id,
            "message_id": self.message_id,
            "push_id": self.push_id,
            "campaign_id": self.campaign_id,
            "call_record_id": self.call_record_id,
            "wakeup_id": self.call_record_id,
        }

    def echoed(self) -> Iterator[str]:
        """What an answer may repeat."""
        yield from (self.registration_id, self.operation_id, self.user_id, self.app_id, self.callback_id)
        yield from (self.message_id, self.push_id, self.campaign_id, self.call_record_id)


Body = Callable[[Ids], dict[str, Any] | None]


@dataclass(frozen=True)
class Endpoint:
    """How an operation is asked; `bodies` and `queries` are tried in turn. `admin`: integration users may not.

    `any_role`: admins may ask as well; without access to the app they are strangers to it. `fresh`: what of the answer
    is new each time.
    """

    bodies: tuple[Body, ...] = (lambda _: None,)
    queries: tuple[Callable[[Ids], dict[str, str]], ...] = (lambda _: {},)
    admin: bool = False
    open: bool = False
    any_role: bool = False
    fresh: tuple[str, ...] = ()


ADMIN = Endpoint(admin=True)
NO_OBJECT = Endpoint(open=True)
PLAIN = Endpoint()

ENDPOINTS = {
    "healthLive": NO_OBJECT,
    "healthReady": NO_OBJECT,
    "createUser": ADMIN,
    "addAppAccessToUser": ADMIN,
    "removeAppAccessFromUser": ADMIN,
    "getUserList": ADMIN,
    "getUser": ADMIN,
    "deleteUser": ADMIN,
    "enableUser": ADMIN,
    "disableUser": ADMIN,
    "resetUserPassword": ADMIN,
    "createDirectoryUser": ADMIN,
    "listDirectoryUsers": ADMIN,
    "getDirectoryUser": ADMIN,
    "changeDirectoryUser": ADMIN,
    "setDirectoryUserPassword": ADMIN,
    "deleteDirectoryUser": ADMIN,
    **dict.fromkeys(
        (
            "createDomain",
            "listDomains",
            "getDomain",
            "changeDomain",
            "deleteDomain",
            "getDomainPreferences",
            "setDomainPreferences",
            "changeDomainPreferences",
            "createSubscriber",
            "listSubscribers",
            "getSubscriber",
            "changeSubscriber",
            "deleteSubscriber",
            "setSubscriberPassword",
            "deleteSubscriberPassword",
            "getSubscriberPreferences",
            "setSubscriberPreferences",
            "changeSubscriberPreferences",
            "listBindings",
            "deleteBindings",
            "getSipCredential",
            "createWakeup",
            "getWakeup",
            "setWakeupRegistered",
            "endWakeup",
        ),
        ADMIN,
    ),
    "listCalls": Endpoint(
        queries=(lambda _: {}, lambda ids: {"userId": ids.user_id}, lambda _: {"domain": "example.org"}),
        any_role=True,
    ),
    "getCall": Endpoint(any_role=True),
    "createApplication": ADMIN,
    "getApplication": ADMIN,
    "getApplicationList": ADMIN,
    "updateApplicationRoles": ADMIN,
    "getApplicationVersionList": ADMIN,
    "createApplicationVersion": ADMIN,
    "supportApplicationVersion": ADMIN,
    "unsupportApplicationVersion": ADMIN,
    "getApplicationConfig": ADMIN,
    "createApplicationConfig": ADMIN,
    "removeApplicationConfig": ADMIN,
    **dict.fromkeys(
        (
            "listPushCredentials",
            "putApnsCredential",
            "putFcmCredential",
            "putWebPushCredential",
            "deleteApnsCredential",
            "deleteFcmCredential",
            "deleteWebPushCredential",
            "clearPushCredentials",
            "tryApnsCredential",
            "tryFcmCredential",
            "setApplicationApns",
            "getApplicationApns",
            "removeApplicationApns",
            "setApplicationFcm",
            "getApplicationFcm",
            "removeApplicationFcm",
        ),
        ADMIN,
    ),
    "listOperationTemplates": ADMIN,
    "getOperationTemplate": ADMIN,
    "createOperationTemplate": ADMIN,
    "replaceOperationTemplate": ADMIN,
    "deleteOperationTemplate": ADMIN,
    "getOperationTexts": ADMIN,
    "putOperationTexts": ADMIN,
    "deleteOperationTexts": ADMIN,
    "getAuditLog": Endpoint(queries=(lambda ids: {"userId": ids.user_id},)),
    "listAuditEntries": Endpoint(
        queries=(
            lambda ids: {"userId": ids.user_id},
            lambda ids: {"userId": ids.user_id, "appId": ids.app_id},
            lambda ids: {"subjectId": ids.registration_id},
            lambda ids: {"subjectId": ids.operation_id},
            lambda ids: {"subjectId": ids.username},
        ),
        any_role=True,
    ),
    "createRegistration": Endpoint(
        bodies=(lambda ids: {"userId": ids.user_id, "appId": ids.app_id},),
        queries=(lambda _: {}, lambda _: {"incompleteStatusCheck": "true"}),
    ),
    "getRegistrationList": Endpoint(
        queries=(lambda ids: {"userId": ids.user_id}, lambda ids: {"userId": ids.user_id, "removed": "true"}),
    ),
    "listRegistrations": Endpoint(
        queries=(
            lambda ids: {"userId": ids.user_id},
            lambda ids: {"appId": ids.app_id},
            lambda ids: {"userId": ids.user_id, "appId": ids.app_id},
            lambda _: {},
        ),
        any_role=True,
    ),
    "listActivationFlags": PLAIN,
    "addActivationFlags": Endpoint(bodies=(lambda _: {"flags": ["vip"]},)),
    "updateActivationFlags": Endpoint(bodies=(lambda _: {"flags": ["vip"]}, lambda _: {"flags": []})),
    "removeActivationFlags": Endpoint(bodies=(lambda _: {"flags": ["vip"]},)),
    "updateActivationName": Endpoint(bodies=(lambda _: {"name": "mine"},)),
    "getRegistration": PLAIN,
    "commitActivation": Endpoint(bodies=(lambda _: None, lambda ids: {"registrationId": ids.registration_id})),
    "updateRegistrationState": Endpoint(
        bodies=(
            lambda _: {"change": "BLOCK", "blockReason": "theft"},
            lambda _: {"change": "UNBLOCK"},
            lambda _: {"change": "REMOVE"},
        ),
    ),
    "deleteRegistration": Endpoint(bodies=(lambda _: None, lambda ids: {"registrationId": ids.registration_id})),
    "verifyOnlineSignature": Endpoint(
        bodies=(
            lambda ids: {"method": "POST", "uriId": "/pay", "authHeader": ids.signature_header, "requestBody": "cGF5"},
            lambda ids: {"method": "POST", "uriId": "/pay", "authHeader": ids.signature_header, "requestBody": ""},
            lambda ids: {"method": "GET", "uriId": "/pay", "authHeader": ids.signature_header, "queryParams": {}},
        ),
    ),
    "verifyToken": Endpoint(bodies=(lambda ids: {"authHeader": ids.token_header},)),
    "createOperation": Endpoint(
        bodies=(
            lambda ids: {"template": "login", "registrationId": ids.registration_id},
            lambda ids: {"template": "login", "userId": ids.user_id, "registrationId": ids.registration_id},
        ),
    ),
    "updateActivationOtp": Endpoint(bodies=(lambda _: {"otp": "123456"},)),
    "createRecoveryCode": Endpoint(bodies=(lambda ids: {"appId": ids.app_id, "userId": ids.user_id},), any_role=True),
    "listRecoveryCodes": Endpoint(queries=(lambda ids: {"appId": ids.app_id, "userId": ids.user_id},), any_role=True),
    "getRecoveryCode": Endpoint(any_role=True),
    "revokeRecoveryCode": Endpoint(any_role=True),
    "setUserClaims": Endpoint(bodies=(lambda _: {"claims": {"name": "Alice"}},), any_role=True),
    "getUserClaims": Endpoint(any_role=True),
    "createCallback": Endpoint(bodies=(lambda _: CALLBACK,), any_role=True),
    "getCallbackList": Endpoint(any_role=True),
    "getCallback": Endpoint(any_role=True),
    "updateCallback": Endpoint(bodies=(lambda _: CALLBACK,), any_role=True),
    "deleteCallback": Endpoint(any_role=True),
    "listCallbackDeliveries": Endpoint(any_role=True),
    "deleteUserClaims": Endpoint(any_role=True),
    "getOperation": PLAIN,
    "getOperationList": Endpoint(
        queries=(
            lambda ids: {"userId": ids.user_id},
            lambda ids: {"userId": ids.user_id, "status": "PENDING", "pageSize": "1"},
            lambda ids: {"userId": ids.user_id, "before": ids.operation_id},
        ),
    ),
    "getOperationOfflineQr": Endpoint(queries=(lambda ids: {"registrationId": ids.registration_id},)),
    "approveOperationOffline": Endpoint(
        bodies=(lambda ids: {**OFFLINE_OTP, "registrationId": ids.registration_id},),
    ),
    "createPersonalizedOfflineQr": Endpoint(bodies=(lambda _: {"data": "A2"},)),
    "createNonPersonalizedOfflineQr": Endpoint(bodies=(lambda _: {"data": "A2"},)),
    "verifyOfflineOtp": Endpoint(bodies=(lambda _: {**OFFLINE_OTP, "data": "A2"},)),
    "cancelOperation": Endpoint(queries=(lambda _: {}, lambda _: {"statusReason": "mine"})),
    "applicationDetail": Endpoint(
        bodies=(
            lambda ids: {"userId": ids.user_id, **MESSAGE},
            lambda ids: {"userId": ids.user_id, "registrationId": ids.registration_id, **MESSAGE},
        ),
        fresh=("messageId",),
    ),
    "createMessage": Endpoint(
        bodies=(
            lambda ids: {"userId": ids.user_id, **MESSAGE},
            lambda ids: {"userId": ids.user_id, "appIds": [ids.app_id], **MESSAGE},
            lambda ids: {"userId": ids.user_id, "registrationId": ids.registration_id, **MESSAGE},
        ),
        fresh=("messageId",),
    ),
    "pushLiveActivity": Endpoint(
        bodies=(lambda ids: {"appId": ids.app_id, "userId": ids.user_id, **LIVE_ACTIVITY},),
    ),
    "createCampaign": Endpoint(
        bodies=(
            lambda ids: {"appId": ids.app_id, **CAMPAIGN},
            lambda ids: {"appId": ids.app_id, "users": [ids.user_id], **CAMPAIGN},
        ),
        any_role=True,
    ),
    "listCampaigns": Endpoint(queries=(lambda ids: {"appId": ids.app_id},), any_role=True),
    "addCampaignUsers": Endpoint(bodies=(lambda ids: {"users": [ids.user_id]},), any_role=True),
    **dict.fromkeys(
        ("getCampaign", "startCampaign", "pauseCampaign", "resumeCampaign", "cancelCampaign"), Endpoint(any_role=True)
    ),
    "getMessageStatus": Endpoint(any_role=True),
    "getPush": Endpoint(any_role=True),
    "listPushes": Endpoint(
        queries=(
            lambda ids: {"userId": ids.user_id},
            lambda ids: {"operationId": ids.operation_id},
            lambda ids: {"messageId": ids.message_id},
        ),
        any_role=True,
    ),
    "sendMessage": Endpoint(
        bodies=(
            lambda ids: {"userId": ids.user_id, **INBOX_MESSAGE},
            lambda ids: {"userId": ids.user_id, "applications": [ids.app_id], **INBOX_MESSAGE},
        ),
        fresh=("id", "timestamp"),
    ),
    "getMessageList": Endpoint(
        queries=(lambda ids: {"userId": ids.user_id}, lambda ids: {"userId": ids.user_id, "onlyUnread": "true"})
    ),
    "getMessage": PLAIN,
    "deleteMessage": PLAIN,
}


@dataclass
class Bank:
    """The tenant whose objects nobody else may see: a registration in each state, two operations."""

    served: Served
    ids: Ids
    registrations: dict[str, str] = field(default_factory=dict)
    operations: list[str] = field(default_factory=list)

    async def picture(self) -> list[Any]:
        """All that its back end can see."""
        paths = [
            *(f"/powerauth-cloud/v2/registrations/{one}" for one in self.registrations.values()),
            *(f"/powerauth-cloud/v2/operations/{one}" for one in self.operations),
            "/powerauth-cloud/v2/admin/applications/bank/callbacks",
            f"/api/v1/recovery-codes/{self.ids.recovery_code_id}",
            f"/powerauth-cloud/v2/registrations?userId={self.ids.user_id}&removed=true",
            f"/powerauth-cloud/v2/inbox/messages?userId={self.ids.user_id}",
            f"/api/v1/pushes?userId={self.ids.user_id}",
            f"/api/v1/campaigns/{self.ids.campaign_id}",
            f"/api/v1/calls/{self.ids.call_record_id}",
        ]
        shown = [(await self.served.call("GET", path)).body for path in paths]
        for one in shown:  # ECDSA is randomised: the signature of an activation code differs each time
            one.pop("activationCodeSignature", None)
            one.pop("activationQrCodeData", None)
        return shown


@pytest.fixture
async def bank(served: Served) -> Bank:
    async def register() -> dict[str, Any]:
        body = {"userId": "alice", "appId": "bank"}
        created: dict[str, Any] = (await served.call("POST", "/powerauth-cloud/v2/registrations", body)).body
        return created

    async def enrol(*changes: str) -> tuple[Phone, str]:
        created = await register()
        phone = Phone(MemoryState(), session=served.session)
        code = created["activationQrCodeData"]
        await phone.activate(served.public, served.app["mobileSdkConfig"], code, name="Phone", pin="1234")
        path = f"/powerauth-cloud/v2/registrations/{created['registrationId']}"
        for change in changes:
            if change == "COMMIT":
                answer = await served.call("POST", f"{path}/commit")
            else:
                answer = await served.call("PUT", path, {"change": change})
            assert answer.status == 200
        return phone, created["registrationId"]

    phone, active = await enrol("COMMIT")
    await phone.create_token()
    token_request = await phone._token_request("/", {})
    registrations = {
        "CREATED": (await register())["registrationId"],
        "PENDING_COMMIT": (await enrol())[1],
        "ACTIVE": active,
        "BLOCKED": (await enrol("COMMIT", "BLOCK"))[1],
        "REMOVED": (await enrol("REMOVE"))[1],
    }
    operations = []
    for scope in ({}, {"registrationId": active}):
        body = {"userId": "alice", "template": "login", **scope}
        operations.append((await served.call("POST", "/powerauth-cloud/v2/operations", body)).body["operationId"])
    await served.call("DELETE", f"/powerauth-cloud/v2/operations/{operations[1]}")
    callback = await served.call("POST", "/powerauth-cloud/v2/admin/applications/bank/callbacks", CALLBACK)
    recovery = {"key": "recovery", "values": {"enabled": True}}
    await served.call("POST", "/powerauth-cloud/admin/applications/bank/config", recovery, auth=served.admin)
    message = await served.call("POST", "/powerauth-cloud/v2/inbox/messages", {"userId": "alice", **INBOX_MESSAGE})
    told = await served.call("GET", f"/api/v1/messages/{message.body['id']}")
    campaign = await served.call("POST", "/api/v1/campaigns", {"appId": "bank", "users": ["alice"], **CAMPAIGN})
    postcard = await served.call("POST", "/api/v1/recovery-codes", {"appId": "bank", "userId": "alice"})
    ids = Ids(
        registration_id=active,
        operation_id=operations[0],
        user_id="alice",
        app_id="bank",
        username=served.integration.login,
        signature_header=phone.sign("POST", "/pay", SIGNED, BIOMETRY),
        token_header=token_request.headers[TOKEN_HEADER],
        callback_id=callback.body["id"],
        recovery_code_id=postcard.body["recoveryCodeId"],
        message_id=message.body["id"],
        push_id=told.body["noticeId"],
        campaign_id=campaign.body["id"],
        call_record_id=await called(served),
    )
    return Bank(served, ids, registrations, operations)


async def called(served: Served) -> str:
    """A call to alice, in a domain of the bank's; she is not to be woken, so it is over."""
    store, rooms = served.installation.store, served.rooms
    by = Principal("cli", "test")
    await store.write(rooms.sip_directory.domains.create, by, "example.org", ("bank",))
    await store.write(rooms.sip_directory.subscribers.create, by, NewSubscriber("example.org", "alice", "alice"))
    made = await store.write(rooms.access.create_user, by, "kamailio", "sip-proxy")
    proxy = Login("kamailio", made.password)
    call = {"callee": "alice@example.org", "caller": "sip:bob@example.com", "callId": "call-1"}
    wakeup = (await served.call("POST", "/api/v1/wakeups", call, auth=proxy)).body["wakeupId"]
    ended = await served.call("GET", f"/api/v1/wakeups/{wakeup}?waitSeconds=30", auth=proxy)
    assert ended.body["outcome"] == "NOT_ENABLED"
    return str(wakeup)


def unknown_like(ids: Ids) -> Ids:
    """Ids of the same form that nothing has."""
    registration_id = str(uuid4())
    token_id = ids.token_header.partition('token_id="')[2].partition('"')[0]
    return Ids(
        registration_id=registration_id,
        operation_id=str(uuid4()),
        user_id="nobody",
        app_id="none",
        username="no-such-user",
        signature_header=ids.signature_header.replace(ids.registration_id, registration_id),
        token_header=ids.token_header.replace(token_id, str(uuid4())),
        callback_id=str(uuid4()),
        recovery_code_id=str(uuid4()),
        message_id=str(uuid4()),
        push_id=str(uuid4()),
        campaign_id=str(uuid4()),
        call_record_id=str(uuid4()),
    )


def variants(operation: Operation, bank: Bank) -> Iterator[Ids]:
    """The bank's ids, once for each state of the thing that the path names."""
    named = operation.parameters("path")
    if "registration_id" in named or operation.id == "createOperation":
        yield from (replace(bank.ids, registration_id=one) for one in bank.registrations.values())
    elif "operation_id" in named:
        yield from (replace(bank.ids, operation_id=one) for one in bank.operations)
    else:
        yield bank.ids


async def ask(
    served: Served, operation: Operation, ids: Ids, auth: Login, nth_body: int = 0, nth_query: int = 0
) -> Answer:
    endpoint = ENDPOINTS[operation.id]
    path = operation.path
    for name in operation.parameters("path"):
        path = path.replace(f"{{{name}}}", quote(ids.path_parameters[name], safe=""))
    query = endpoint.queries[nth_query](ids)
    target = f"{path}?{urlencode(query)}" if query else path
    return await served.call(operation.method, target, endpoint.bodies[nth_body](ids), auth=auth)


def without_ids(answer: Answer, ids: Ids, fresh: tuple[str, ...] = ()) -> tuple[int, str, dict[str, str]]:
    """The answer with the ids that it repeats made alike, and without what is new each time."""
    body = answer.body
    if fresh and answer.status < 300:
        body = {name: value for name, value in body.items() if name not in fresh}
    text = json.dumps(body)
    for value in ids.echoed():
        text = text.replace(value, "ID")
    headers = {name: value for name, value in answer.headers.items() if name.lower() not in {"date", "content-length"}}
    return answer.status, text, headers


async def _internal_operations(served: Served) -> list[Operation]:
    _, internal = await documents_of(served)
    return list(operations_of(internal))


async def test_every_operation_is_classified(served_sqlite: Served) -> None:
    assert {one.id for one in await _internal_operations(served_sqlite)} == set(ENDPOINTS)


async def test_another_app_is_answered_as_an_unknown_object(served: Served, bank: Bank) -> None:
    _, shop = await served.new_tenant("shop")
    before = await bank.picture()
    unknown = unknown_like(bank.ids)
    # Reading first: what the shop itself writes is in lists afterwards, of a user that the bank has as well.
    for operation in sorted(await _internal_operations(served), key=lambda one: one.method.upper() != "GET"):
        endpoint = ENDPOINTS[operation.id]
        if endpoint.admin or endpoint.open:
            continue
        for nth_body in range(len(endpoint.bodies)):
            for nth_query in range(len(endpoint.queries)):
                asked = await ask(served, operation, unknown, shop, nth_body, nth_query)
                expected = without_ids(asked, unknown, endpoint.fresh)
                assert expected[0] in {200, 201, 400, 404}, (operation.id, expected)
                for ids in variants(operation, bank):
                    asked = await ask(served, operation, ids, shop, nth_body, nth_query)
                    answer = without_ids(asked, ids, endpoint.fresh)
                    assert answer == expected, (operation.id, ids)
    assert await bank.picture() == before
    await _proofs_were_not_spent(served, bank)


async def _proofs_were_not_spent(served: Served, bank: Bank) -> None:
    """A stranger's question about a signature or a MAC token counts nothing and uses nothing up."""
    operations = {one.id: one for one in await _internal_operations(served)}
    signature = await ask(served, operations["verifyOnlineSignature"], bank.ids, served.integration)
    assert signature.body["signatureValid"] is True
    assert signature.body["remainingAttempts"] == 5
    token = await ask(served, operations["verifyToken"], bank.ids, served.integration)
    assert token.body["tokenValid"] is True


async def test_the_owner_is_answered_otherwise(served_sqlite: Served) -> None:
    """Else the test above would hold for a server that answers nobody."""
    created = await served_sqlite.call(
        "POST", "/powerauth-cloud/v2/registrations", {"userId": "alice", "appId": "bank"}
    )
    path = f"/powerauth-cloud/v2/registrations/{created.body['registrationId']}"
    assert (await served_sqlite.call("GET", path)).body["userId"] == "alice"
    _, shop = await served_sqlite.new_tenant("shop")
    assert (await served_sqlite.call("GET", path, auth=shop)).status == 400


async def test_a_user_without_apps_sees_nothing(served_sqlite: Served) -> None:
    made = await served_sqlite.call(
        "POST", "/powerauth-cloud/admin/users", {"username": "newcomer"}, auth=served_sqlite.admin
    )
    newcomer = Login("newcomer", made.body["password"])
    registration = {"userId": "alice", "appId": "bank"}
    created = await served_sqlite.call("POST", "/powerauth-cloud/v2/registrations", registration)
    path = f"/powerauth-cloud/v2/registrations/{created.body['registrationId']}"
    assert (await served_sqlite.call("GET", path, auth=newcomer)).status == 400
    listed = await served_sqlite.call("GET", "/powerauth-cloud/v2/registrations?userId=alice", auth=newcomer)
    assert (listed.status, listed.body) == (200, {"registrations": []})
    refused = await served_sqlite.call("POST", "/powerauth-cloud/v2/registrations", registration, auth=newcomer)
    assert refused.status == 400
    refused = await served_sqlite.call("POST", "/powerauth-cloud/v2/operations", {"template": "login"}, auth=newcomer)
    assert refused.status == 400


async def test_admin_endpoints_refuse_integration_users_and_strangers(served_sqlite: Served) -> None:
    known = Ids(str(uuid4()), str(uuid4()), "alice", "bank", served_sqlite.integration.login, "", "")
    unknown = replace(known, app_id="none", username="no-such-user")
    stranger = Login("no-such-user", "no-such-password")
    for operation in await _internal_operations(served_sqlite):
        if not ENDPOINTS[operation.id].admin:
            continue
        answers = [await ask(served_sqlite, operation, ids, served_sqlite.integration) for ids in (known, unknown)]
        assert [one.status for one in answers] == [403, 403], operation.id
        assert answers[0].body == answers[1].body
        assert (await ask(served_sqlite, operation, known, stranger)).status == 401


async def test_admins_are_no_integration_users(served_sqlite: Served) -> None:
    ids = Ids(str(uuid4()), str(uuid4()), "alice", "bank", "x", "PowerAuth", "PowerAuth")
    for operation in await _internal_operations(served_sqlite):
        endpoint = ENDPOINTS[operation.id]
        if not (endpoint.admin or endpoint.open):
            expected = {200, 201, 400, 404} if endpoint.any_role else {403}
            assert (await ask(served_sqlite, operation, ids, served_sqlite.admin)).status in expected, operation.id

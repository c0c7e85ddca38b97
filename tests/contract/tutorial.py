"""The calls that the tutorial "Mobile Token SDK and PowerAuth Cloud Onboarding" prints, to the letter.

`path` and `payload` stand here as printed; `console` is the tag and operation id of the link into Swagger UI.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Printed:
    """One printed call; `payload` is the body, or for a GET the query parameters."""

    method: str
    path: str
    console: tuple[str, str]
    payload: str


CREATE_USER = Printed(
    "POST",
    "/powerauth-cloud/admin/users",
    ("System Users", "createUser"),
    """{
"username": "<client-name>-integration-user"
}""",
)

CREATE_APPLICATION = Printed(
    "POST",
    "/powerauth-cloud/admin/applications",
    ("Applications", "createApplication"),
    """{
"id": "<client-name>-mobile-banking"
}""",
)

ALLOW_APPLICATION = Printed(
    "POST",
    "/powerauth-cloud/admin/users/<client-name>-integration-user/applications/<client-name>-mobile-banking",
    ("System Users", "addAppAccessToUser"),
    """{
"username": "<client-name>-integration-user",
"appId": "<client-name>-mobile-banking"
}""",
)

CREATE_REGISTRATION = Printed(
    "POST",
    "/powerauth-cloud/v2/registrations",
    ("Registrations", "createRegistration"),
    """{
"userId": "{userId}",
"appId": "<client-name>-mobile-banking"
}""",
)

LIST_REGISTRATIONS = Printed(
    "GET",
    "/powerauth-cloud/v2/registrations/",
    ("Registrations", "getRegistrationList"),
    """{
"userId": "{userId}"
}""",
)

DELETE_REGISTRATION = Printed(
    "DELETE",
    "/powerauth-cloud/v2/registrations/${registrationId}",
    ("Registrations", "deleteRegistration"),
    """{
"registrationId": "{userId}",
"externalUserId": "{any id of your employee}"
}""",
)

COMMIT_REGISTRATION = Printed(
    "POST",
    "/powerauth-cloud/v2/registrations/${registrationId}/commit",
    ("Registrations", "commitActivation"),
    """{
"registrationId": "{userId}",
"externalUserId": "{any id of your employee}"
}""",
)

BLOCK_REGISTRATION = Printed(
    "PUT",
    "/powerauth-cloud/v2/registrations/${registrationId}",
    ("Registrations", "updateRegistrationState"),
    """{
"change": "BLOCK",
"blockReason": "The reason for blocking",
"externalUserId": "{any id of your employee}"
}""",
)

CREATE_LOGIN = Printed(
    "POST",
    "/powerauth-cloud/v2/operations",
    ("Operations", "createOperation"),
    """{
"userId": "{userId}",
"template": "login",
"language": "en"
}""",
)

CREATE_PAYMENT = Printed(
    "POST",
    "/powerauth-cloud/v2/operations",
    ("Operations", "createOperation"),
    """{
"userId": "{userId}",
"template": "login",
"language": "en",
"parameters": {
"amount": "1000000000.00",
"currency": "EUR",
"iban": "CZ5508000000001234567899"
}
}""",
)

GET_OPERATION = Printed(
    "GET",
    "/powerauth-cloud/v2/operations/${operationId}",
    ("Operations", "getOperation"),
    """{
"operationId": "{operationId}"
}""",
)

CANCEL_OPERATION = Printed(
    "DELETE",
    "/powerauth-cloud/v2/operations/${operationId}",
    ("Operations", "cancelOperation"),
    """{
"operationId": "{operationId}"
}""",
)

VERIFY_SIGNATURE = Printed(
    "POST",
    "/powerauth-cloud/v2/signature/verify",
    ("Signature Verification", "verifyOnlineSignature"),
    r"""{
"method": "POST",
"uriId": "/mobile/login",
"authHeader": "PowerAuth pa_activation_id=\"a4452997-45c0-4667-bb24-c7d39337b9c0\", pa_application_key=\"GlxZ1Qe70pGAG/ek0BvNXw==\", pa_nonce=\"2I9gzcP5uJtX3RUr9Qp5Bg==\", pa_signature_type=\"possession_knowledge\", pa_signature=\"LLUZvtWpXwXWZlPzwRFG7PBFQdQkp5h/K/dxWiUi2A8=\", pa_version=\"3.1\"",
"requestBody": "bG9n"
}""",  # noqa: E501 - as printed
)

SEND_MESSAGE = Printed(
    "POST",
    "/powerauth-cloud/v2/messages/send",
    ("Push Notifications", "applicationDetail"),
    """{
"userId": "{userId}",
"registrationId": "{registrationId}",
"silent": false,
"title": "Balance Update",
"message": "We just updated your balance. You can review it in mobile banking.",
"sound": "default"
}""",
)

SEND_TO_INBOX = Printed(
    "POST",
    "/powerauth-cloud/v2/inbox/messages",
    ("Inbox", "sendMessage"),
    """{
"userId": "{userId}",
"type": "html",
"subject": "Message subject",
"summary": "Message summary",
"body": "Message content",
"silent": false
}""",
)

BUILT = (
    CREATE_USER,
    CREATE_APPLICATION,
    ALLOW_APPLICATION,
    CREATE_REGISTRATION,
    LIST_REGISTRATIONS,
    DELETE_REGISTRATION,
    COMMIT_REGISTRATION,
    BLOCK_REGISTRATION,
    CREATE_LOGIN,
    CREATE_PAYMENT,
    GET_OPERATION,
    CANCEL_OPERATION,
    VERIFY_SIGNATURE,
    SEND_MESSAGE,
    SEND_TO_INBOX,
)

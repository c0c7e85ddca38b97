"""What the guides for iOS and Android apps with Unified CM print for `devicetoken`, as they print it."""

from __future__ import annotations

_IOS_KEY = "base64_encoded_secret_key"
_ANDROID_KEY = "base_64_encoded_secret_key"
_APPLICATION = "you_unique_app_id_from_dev_portal"
_PUSH_TOKEN = "<pushNotifyToken>pushNotifyToken<"

IOS = f"""<token>
        {_PUSH_TOKEN}/pushNotifyToken> <!-- Your APNs voip device token -->
        <pushChannelType>APNS</pushChannelType><!--format : APNS, APNS:dev-->
        <key>{_IOS_KEY}</key><!--Base64 encoded secret key. This secret key will be used for encryption of notification payload by CUCM. Same secret key(base64 decoded) should be used for decrypting the APNS payload-->
        <algorithm>A256GCM</algorithm>
        <application>{_APPLICATION}</application>
        <payloadVersion>V2</payloadVersion>
    </token>"""  # noqa: E501 - to the letter

ANDROID = f"""<token>
        {_PUSH_TOKEN}/pushNotifyToken> <!-- Your FCM device/registration token -->
        <pushChannelType>FCM</pushChannelType>
        <key>{_ANDROID_KEY}</key><!--Base64 encoded secret key. This secret key will be used for encryption of notification payload by CUCM. Same secret key(base64 decoded) should be used for decrypting the FCM payload-->
        <algorithm>A256GCM</algorithm>
        <application>{_APPLICATION}</application>
        <payloadVersion>V2</payloadVersion>
    </token>"""  # noqa: E501 - to the letter


def filled(printed: str, *, push_token: str = "", key: str = "", application: str = "") -> bytes:
    """The text with values in the places of the words that stand for them; empty = the words stay."""
    if push_token:
        printed = printed.replace(_PUSH_TOKEN, f"<pushNotifyToken>{push_token}<")
    if key:
        printed = printed.replace(_ANDROID_KEY, key).replace(_IOS_KEY, key)
    if application:
        printed = printed.replace(_APPLICATION, application)
    return printed.encode()

"""APNs client certificates: what one may push to, and in which environment.

Apple writes both into extensions of its own; they are described in Apple's "Certification Practice Statement, Worldwide
Developer Relations", Apple Push Services certificates. Certificates from before 2015 have no list of topics: there the
subject's user id is the only one.
"""

from __future__ import annotations

from typing import Literal

from cryptography import x509
from cryptography.x509.oid import NameOID

from ringback.protocols.der import SEQUENCE, UTF8_STRING, DerMalformed, element, items

TOPICS = x509.ObjectIdentifier("1.2.840.113635.100.6.3.6")
DEVELOPMENT = x509.ObjectIdentifier("1.2.840.113635.100.6.3.1")
PRODUCTION = x509.ObjectIdentifier("1.2.840.113635.100.6.3.2")
VOIP = ".voip"


def user_id_of(certificate: x509.Certificate) -> str | None:
    """The subject's UID: the topic that a push without `apns-topic` would have. None = not from Apple's push services.

    It is the bundle id of the app; with ".voip" at its end in certificates for calls alone.
    """
    found = certificate.subject.get_attributes_for_oid(NameOID.USER_ID)
    return str(found[0].value) if found else None


def topics_of(certificate: x509.Certificate) -> tuple[str, ...]:
    """What it may push to, the app's bundle id first; empty when it says neither topics nor a UID.

    Raises ValueError when the list of topics is not what Apple writes.
    """
    user_id = user_id_of(certificate)
    own = () if user_id is None else (user_id,)
    listed = _extension(certificate, TOPICS)
    if listed is None:
        return own
    outer = items(listed)
    if len(outer) != 1 or outer[0][0] != SEQUENCE:
        raise DerMalformed
    names = [value.decode("utf-8") for tag, value in items(outer[0][1]) if tag == UTF8_STRING]
    return tuple(dict.fromkeys((*own, *names)))


def environment_of(certificate: x509.Certificate) -> Literal["development", "production"] | None:
    """The only environment that takes it; None = both, as all new ones have it, or it does not say."""
    development, production = (_extension(certificate, kind) is not None for kind in (DEVELOPMENT, PRODUCTION))
    if development is production:
        return None
    return "development" if development else "production"


def topics_extension(topics: dict[str, str]) -> x509.UnrecognizedExtension:
    """The opposite of `topics_of`, for certificates of one's own: topic → role (`app`, `voip`, `complication`)."""
    parts = b"".join(
        element(UTF8_STRING, topic.encode()) + element(SEQUENCE, element(UTF8_STRING, role.encode()))
        for topic, role in topics.items()
    )
    return x509.UnrecognizedExtension(TOPICS, element(SEQUENCE, parts))


def _extension(certificate: x509.Certificate, kind: x509.ObjectIdentifier) -> bytes | None:
    """Raises ValueError when the extensions cannot be read."""
    try:
        value = certificate.extensions.get_extension_for_oid(kind).value
    except x509.ExtensionNotFound:
        return None
    except x509.DuplicateExtension as error:
        msg = "an extension stands twice in the certificate"
        raise ValueError(msg) from error
    return value.value if isinstance(value, x509.UnrecognizedExtension) else None

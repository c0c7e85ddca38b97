"""What back ends send about the offline approval of an operation."""

from typing import Annotated

import msgspec


class OfflineOtp(msgspec.Struct, frozen=True, rename="camel"):
    """The digits that a person typed: 8-8, 4-4-4-4, with spaces, or not grouped. `nonce`: as it came with the QR."""

    otp: Annotated[str, msgspec.Meta(max_length=64)]
    nonce: Annotated[str, msgspec.Meta(min_length=24, max_length=24)]
    registration_id: Annotated[str, msgspec.Meta(min_length=1, max_length=255)]


class OperationQr(msgspec.Struct, frozen=True, rename="camel"):
    """`operationQrCodeData` is shown as a QR code; the back end keeps `nonce` for the check."""

    operation_qr_code_data: str
    nonce: str

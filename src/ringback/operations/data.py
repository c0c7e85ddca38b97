"""Operation data from a template's `${parameter}`s.

PowerAuth server, OperationTemplate: values are escaped, because the phone signs the data and takes it apart by `*`
(Mobile Token API, operation data); values in texts, which `rendering` fills in, are not. A parameter that is not given
stays as it is written, `${name}`. One pass: what a value contains is never substituted again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from ringback.errors import invalid_field

PARAMETER = re.compile(r"\$\{([^{}]*)\}")
MOST_DATA = 100_000
"""Characters of an operation's data: phones send them back when they approve it."""

_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")


def escape_value(value: str) -> str:
    r"""`\` → `\\`, `*` → `\*`, line feed → `\n`. The caller has refused other control characters."""
    return value.replace("\\", "\\\\").replace("*", "\\*").replace("\n", "\\n")


def build_data(template: str, parameters: Mapping[str, str]) -> str:
    """The operation's data. Raises InvalidRequest: a control character in a parameter, or longer than MOST_DATA."""
    for name, value in parameters.items():
        if _CONTROL.search(value):
            raise invalid_field(f"parameters.{name}", "Control characters other than line feed are not allowed.")

    def replace(match: re.Match[str]) -> str:
        value = parameters.get(match.group(1))
        return match.group(0) if value is None else escape_value(value)

    data = PARAMETER.sub(replace, template)
    if len(data) > MOST_DATA:
        raise invalid_field("parameters", f"With them the operation's data are longer than {MOST_DATA} characters.")
    return data

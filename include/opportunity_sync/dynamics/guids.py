"""How Microsoft writes the ids of records, users, organisations and tenants."""

from __future__ import annotations

import re
from typing import Final

_GUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def is_guid(text: str) -> bool:
    """Whether the text is 32 hexadecimal digits in five groups, in either case."""
    return _GUID.fullmatch(text) is not None

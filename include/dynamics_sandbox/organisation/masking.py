"""What a masking rule leaves of a value.

A rule is a regular expression and a character: the character takes the place of each match. Only
texts and numbers can have a rule. The documentation says that a text is answered, and not how that
goes with a number's type; here a masked number reads as null (not verified).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

MASKABLE_TYPES: Final = frozenset(
    {"String", "Memo", "Integer", "BigInt", "Decimal", "Double", "Money"}
)


@dataclass(frozen=True, slots=True)
class MaskingRule:
    """A rule over a column; what it matches is replaced, by default all but the first character."""

    pattern: str = r"(?s)(?<=.)."
    character: str = "#"

    def mask(self, value: Any) -> str | None:
        """What a reader without the right to more is given."""
        if not isinstance(value, str):
            return None
        return re.sub(self.pattern, lambda _match: self.character, value)

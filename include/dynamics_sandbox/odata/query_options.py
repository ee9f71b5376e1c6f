"""The query options of a request, parsed once and checked against the table.

`$select $filter $orderby $top $count $expand`, `UnMaskedData` and parameter aliases; any other
option is refused, as is everything that change tracking does not allow. Property paths may lead
through one single-valued navigation property.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import unquote

from dynamics_sandbox.odata.dataverse_error import (
    DataverseError,
    bad_query,
    not_supported,
    unknown_property,
)
from dynamics_sandbox.schema.security_tables import MANY_TO_MANY, ONE_TO_MANY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dynamics_sandbox.schema.attribute import Attribute
    from dynamics_sandbox.schema.table import Table

MAX_PAGE_SIZE = 5000
MAX_EXPANDS = 15
_KNOWN = frozenset(
    {
        *("$select", "$filter", "$orderby", "$top", "$count", "$expand"),
        *("$skiptoken", "$deltatoken", "UnMaskedData"),
    }
)
_ELSEWHERE = frozenset({"$apply", "fetchXml", "savedQuery", "userQuery", "sql"})
_UNTRACKED = ("filter", "orderby", "expand", "top")


@dataclass(frozen=True, slots=True)
class Preferences:
    """What the `Prefer` header asked for."""

    page_size: int = MAX_PAGE_SIZE
    annotations: tuple[str, ...] = ()
    track_changes: bool = False
    continue_on_error: bool = False
    applied: tuple[str, ...] = ()

    @property
    def has_page_size(self) -> bool:
        """Whether a page size was asked for, beside which `$top` is ignored."""
        return any(preference.startswith("odata.maxpagesize") for preference in self.applied)

    def wants(self, annotation: str) -> bool:
        """Whether an annotation is to be included; `*` ends a pattern."""
        return any(
            annotation.startswith(pattern[:-1]) if pattern.endswith("*") else annotation == pattern
            for pattern in self.annotations
        )


_PREFERENCE = re.compile(r'\s*([\w.-]+)\s*(?:=\s*(?:"([^"]*)"|([^,;\s]*)))?\s*(?:,|$)')


def parse_preferences(header: str) -> Preferences:
    """Read a `Prefer` header; unknown preferences are ignored, as HTTP wants it."""
    found = {
        match[1].lower(): match[2] if match[2] is not None else match[3]
        for match in _PREFERENCE.finditer(header)
    }
    size, applied = MAX_PAGE_SIZE, []
    if (text := found.get("odata.maxpagesize")) is not None:
        if not text.isdecimal() or int(text) < 1:
            raise bad_query(
                "The value of the preference odata.maxpagesize must be a positive number."
            )
        size = min(int(text), MAX_PAGE_SIZE)
        applied.append(f"odata.maxpagesize={size}")
    names = found.get("odata.include-annotations") or ""
    if names:
        applied.append(f'odata.include-annotations="{names}"')
    tracked = "odata.track-changes" in found
    if tracked:
        applied.append("odata.track-changes")
    patterns = tuple(name.strip() for name in names.split(",") if name.strip())
    return Preferences(size, patterns, tracked, "odata.continue-on-error" in found, tuple(applied))


@dataclass(frozen=True, slots=True)
class Expand:
    """One single-valued navigation property to follow, and what to take there."""

    navigation: str
    select: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Query:
    """The options of one request on one set."""

    select: tuple[str, ...] = ()
    filter: str | None = None
    orderby: tuple[tuple[str, bool], ...] = ()  # property path, descending
    top: int | None = None
    count: bool = False
    expand: tuple[Expand, ...] = ()
    aliases: Mapping[str, str] = field(default_factory=dict)
    unmasked_data: bool = False  # asks for values that lie under a mask
    skip_token: str | None = None
    delta_token: str | None = None


def split_options(raw_query: str) -> dict[str, str]:
    """The decoded options of a query string."""
    options = {}
    for part in filter(None, raw_query.split("&")):
        name, _, value = part.partition("=")
        options[unquote(name.replace("+", " "))] = unquote(value.replace("+", " "))
    return options


def parse_query(raw_query: str) -> Query:
    """The options of a query string; an option that Dataverse does not have is a 400."""
    options = split_options(raw_query)
    for name in options:
        if name in _ELSEWHERE:
            raise not_supported(f"The query option {name}")
        if name not in _KNOWN and not name.startswith("@"):
            raise bad_query(f"The query parameter {name} is not supported.")
    return Query(
        select=_names(options.get("$select")),
        filter=options.get("$filter"),
        orderby=tuple(_order(item) for item in _names(options.get("$orderby"))),
        top=_number("$top", options.get("$top")),
        count=_flag(options.get("$count")),
        expand=_expands(options.get("$expand", "")),
        aliases={name: value for name, value in options.items() if name.startswith("@")},
        unmasked_data=options.get("UnMaskedData", "").lower() == "true",
        skip_token=options.get("$skiptoken"),
        delta_token=options.get("$deltatoken"),
    )


def refuse_with_tracking(raw_query: str) -> None:
    """Change tracking takes no restricting options."""
    options = split_options(raw_query)
    if used := [name for name in _UNTRACKED if f"${name}" in options]:
        message = (
            f'The "{used[0]}" query parameter isn\'t supported when Change Tracking is enabled.'
        )
        raise DataverseError(400, "0x80060888", message)


def _names(text: str | None) -> tuple[str, ...]:
    return tuple(name.strip() for name in (text or "").split(",") if name.strip())


def _order(item: str) -> tuple[str, bool]:
    name, _, direction = item.partition(" ")
    if direction.strip() not in {"", "asc", "desc"}:
        raise bad_query(f"Syntax error in $orderby at '{item}'.")
    return name, direction.strip() == "desc"


def _number(name: str, text: str | None) -> int | None:
    if text is None:
        return None
    if not text.isdecimal():
        raise bad_query(
            f"Invalid value '{text[:20]}' for {name} query option found. "
            f"The {name} query option requires a non-negative integer value."
        )
    return int(text)


def _flag(text: str | None) -> bool:
    if text not in {None, "true", "false"}:
        raise bad_query("Invalid value for $count query option found.")
    return text == "true"


_EXPAND = re.compile(r"\s*([\w.]+)\s*(?:\(([^()]*)\))?\s*(?:,|$)")


def _expands(text: str) -> tuple[Expand, ...]:
    found, place = [], 0
    while place < len(text):
        match = _EXPAND.match(text, place)
        if match is None:
            raise not_supported("This form of $expand")
        found.append(Expand(match[1], _expand_select(match[2] or "")))
        place = match.end()
    if len(found) > MAX_EXPANDS:
        raise bad_query(f"Number of $expand clauses exceeds the limit of {MAX_EXPANDS}.")
    return tuple(found)


def _expand_select(options: str) -> tuple[str, ...]:
    select: tuple[str, ...] = ()
    for option in filter(None, options.split(";")):
        name, _, value = option.partition("=")
        if name.strip() != "$select":
            raise not_supported(f"The option {name.strip()} inside $expand")
        select = _names(value)
    return select


def navigation(table: Table, name: str) -> tuple[Attribute, str | None]:
    """The lookup behind a navigation property, and its target table (open for `ownerid`)."""
    plain = table.attributes.get(name)
    if plain and plain.is_lookup and (len(plain.targets) == 1 or plain.type == "Owner"):
        return plain, plain.targets[0] if len(plain.targets) == 1 else None
    base, _, target = name.rpartition("_")
    lookup = table.attributes.get(base)
    if lookup and lookup.is_lookup and target in lookup.targets:
        return lookup, target
    if name in MANY_TO_MANY or name in ONE_TO_MANY:
        raise not_supported(f"$expand={name}")
    raise unknown_property(name, table.name)


def navigation_name(attribute: Attribute, target: str) -> str:
    """The navigation property that leads from a lookup to one of its tables."""
    alone = len(attribute.targets) == 1 or attribute.type == "Owner"
    return attribute.name if alone else f"{attribute.name}_{target}"

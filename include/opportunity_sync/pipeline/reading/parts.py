"""What is written beside the rows of a page: where a retry goes on, and what the page left out.

The rows that could not be taken are kept with their reasons apart, for a bad page has thousands of
them and one reason.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from opportunity_sync.errors import DataError


class Reason(msgspec.Struct, frozen=True, array_like=True):
    """Why records can't be taken: the Dataverse column, the error's code, one sentence."""

    field: str | None
    code: str
    message: str


class Refused(msgspec.Struct, frozen=True):
    """One record that could not be taken; without `record_id` nobody can tell which one it is."""

    record_id: str | None
    version_number: int | None
    reason: Reason

    def is_listed(self, known: Mapping[str, int | None]) -> bool:
        """Whether it is refused again at the version that `known` has of it."""
        if self.record_id is None or self.record_id not in known:
            return False
        return known[self.record_id] == self.version_number


class Refusals(msgspec.Struct, frozen=True):
    """The refused records of a page: each reason once, and for each record id, version, reason."""

    reasons: tuple[Reason, ...] = ()
    records: tuple[tuple[str | None, int | None, int], ...] = ()

    @classmethod
    def of(cls, errors: Iterable[DataError]) -> Self:
        """The refusals of a decoded page."""
        return cls.gather(
            Refused(error.record_id, error.version, Reason(error.field, error.code, error.reason))
            for error in errors
        )

    @classmethod
    def gather(cls, refused: Iterable[Refused]) -> Self:
        """Refused records, with each reason kept once."""
        numbers: dict[Reason, int] = {}
        records = []
        for each in refused:
            number = numbers.setdefault(each.reason, len(numbers))
            records.append((each.record_id, each.version_number, number))
        return cls(tuple(numbers), tuple(records))

    def with_page(self, other: Refusals) -> Refusals:
        """These records and those of another page; pages come by the hundred, so none is redone."""
        numbers = {reason: number for number, reason in enumerate(self.reasons)}
        places = [numbers.setdefault(reason, len(numbers)) for reason in other.reasons]
        added = ((record, version, places[number]) for record, version, number in other.records)
        return Refusals(tuple(numbers), (*self.records, *added))

    def __iter__(self) -> Iterator[Refused]:
        """Each refused record with its reason."""
        for record_id, version, number in self.records:
            yield Refused(record_id, version, self.reasons[number])

    def __len__(self) -> int:
        return len(self.records)


# How rows were come by: every row of the table, those of a window, what a link of change tracking
# gives (the store's, or one that a quick sync has offered), or some by their ids.
Way: TypeAlias = Literal["whole", "window", "link", "offer", "ids"]


class PartState(msgspec.Struct, frozen=True):
    """One page of a reading.

    `fields`: those that were read. `unidentified`: rows that could not be taken and whose id can't
    be read either, so that a row which did not come may be one of them. `replaced`: characters that
    became U+FFFD.
    """

    next_link: str | None = None
    delta_link: str | None = None
    deleted_ids: tuple[str, ...] = ()
    way: Way = "ids"
    fields: tuple[str, ...] = ()
    refusals: Refusals = Refusals()
    unidentified: int = 0
    replaced: int = 0
    requests: int = 0

    def to_dict(self) -> dict[str, Any]:
        """The state as plain JSON values."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return plain

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Self:
        """The state that `to_dict` made."""
        return msgspec.convert(content, cls)


class Reading(msgspec.Struct):
    """All pages that were read of a table, added up; the last page tells how the reading ended.

    `refused_pages`: of each page of which not one row could be taken, where its records begin in
    `refusals`, and where they end. `deletions`: how many tombstones the parts hold.
    """

    rows: int = 0
    pages: int = 0
    requests: int = 0
    replaced: int = 0
    unidentified: int = 0
    deletions: int = 0
    refused_pages: tuple[tuple[int, int], ...] = ()
    way: Way = "ids"
    fields: tuple[str, ...] = ()
    delta_link: str | None = None
    refusals: Refusals = Refusals()

    @property
    def is_whole(self) -> bool:
        """Whether every row of the table came, so that what did not may be gone."""
        return self.way == "whole"

    @property
    def is_delta(self) -> bool:
        """Whether a link of change tracking was followed to its end."""
        return self.way in {"link", "offer"}

    def has_refused_page(self, known: Mapping[str, int | None]) -> bool:
        """Whether not one row of some page could be taken.

        `known`: versions of records that are listed as refused already. A page of those alone says
        nothing new.
        """
        refused = list(self.refusals)
        return any(
            not each.is_listed(known)
            for start, end in self.refused_pages
            for each in refused[start:end]
        )

    def add(self, state: PartState, rows: int) -> None:
        """Count one part."""
        self.rows += rows
        self.pages += 1
        self.requests += state.requests
        self.replaced += state.replaced
        self.unidentified += state.unidentified
        self.deletions += len(state.deleted_ids)
        self.way, self.fields, self.delta_link = state.way, state.fields, state.delta_link
        if state.refusals:
            start = len(self.refusals)
            self.refusals = self.refusals.with_page(state.refusals)
            if rows == 0:
                self.refused_pages += ((start, len(self.refusals)),)

    def to_dict(self) -> dict[str, Any]:
        """The sums as plain JSON values."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return plain

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Self:
        """The sums that `to_dict` made."""
        return msgspec.convert(content, cls)

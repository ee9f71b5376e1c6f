"""A reference becomes the record that it stands for, or the reason why not."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from opportunity_sync.core.frames import TEXT
from opportunity_sync.core.ids import IdSet
from opportunity_sync.core.references import CONTACT_REASONS, Directory
from opportunity_sync.model import CONTACT
from rule_cases import frame_of

# Survivor and reason, as `look_up` gives them for one reference.
Answer = tuple[str | None, str | None]

NOT_FOUND: Answer = (None, "contact_not_found")
REFUSED: Answer = (None, "contact_refused")
CIRCLE: Answer = (None, "merge_circle")


def a_contact(contact_id: str, **facts: Any) -> dict[str, Any]:
    """A contact of which nothing else is known, unless said otherwise."""
    return {"contact_id": contact_id} | facts


def a_loser(contact_id: str, master_id: str, **facts: Any) -> dict[str, Any]:
    """A contact that was merged into another."""
    return a_contact(contact_id, is_merged=True, master_id=master_id, **facts)


def contacts(*records: dict[str, Any], refused: tuple[str, ...] = ()) -> Directory:
    """A directory of these contacts, beside ids of those that can't be taken."""
    known = frame_of(CONTACT, [*records])
    return Directory(
        CONTACT,
        known,
        CONTACT_REASONS,
        refused=IdSet.from_strings(refused),
        erased=IdSet.of(),
    )


def look_up(directory: Directory, *references: str | None) -> list[Answer]:
    """The answer to each reference."""
    found = directory.look_up(pd.Series(references, dtype=TEXT))
    plain = (pa.array(found[name]).to_pylist() for name in ("survivor_id", "reason"))
    return list(zip(*plain, strict=True))


def test_a_known_record_stands_for_itself() -> None:
    """As often as it is asked for, and in the order of the references."""
    directory = contacts(a_contact("c1"), a_contact("c2"))

    assert look_up(directory, "c2", "c1", "c2") == [("c2", None), ("c1", None), ("c2", None)]


def test_no_reference_has_neither_record_nor_reason() -> None:
    """Nobody asked for anything, so nothing is unresolved."""
    assert look_up(contacts(a_contact("c1")), None) == [(None, None)]


def test_an_unknown_record_is_not_found() -> None:
    """Nor is any where nothing is known at all."""
    assert look_up(contacts(a_contact("c1")), "c9") == [NOT_FOUND]
    assert look_up(contacts(), "c1", None) == [NOT_FOUND, (None, None)]


def test_no_references_have_no_answers() -> None:
    """A rule without opportunities looks nothing up."""
    assert look_up(contacts(a_contact("c1"))) == []
    assert look_up(contacts()) == []


def test_a_record_that_can_t_be_taken_is_there_all_the_same() -> None:
    """Whoever reads the list should not look for it in Dynamics in vain."""
    directory = contacts(a_contact("c1"), refused=("c8",))

    assert look_up(directory, "c8", "c9", None) == [REFUSED, NOT_FOUND, (None, None)]


def test_an_older_version_of_a_refused_record_is_used() -> None:
    """The store goes on with what it knows."""
    assert look_up(contacts(a_contact("c1"), refused=("c1",)), "c1") == [("c1", None)]


def test_the_survivor_of_all_merges_is_used() -> None:
    """Whichever record of the chain is referred to."""
    directory = contacts(a_loser("c1", "c2"), a_loser("c2", "c3"), a_contact("c3"))

    assert look_up(directory, "c1", "c2", "c3") == [("c3", None)] * 3


@pytest.mark.parametrize(
    "facts",
    [{"is_merged": True}, {"is_merged": False, "master_id": "c2"}, {"master_id": "c2"}],
    ids=["no master", "not merged", "not said to be merged"],
)
def test_half_a_merge_is_none(facts: dict[str, Any]) -> None:
    """The flag and the master must both be there."""
    assert look_up(contacts(a_contact("c1", **facts), a_contact("c2")), "c1") == [("c1", None)]


def test_a_survivor_that_is_not_there_is_not_found() -> None:
    """Also at the end of several merges; if it can't be taken, that is the reason."""
    directory = contacts(
        a_loser("c1", "c2"), a_loser("c2", "c9"), a_loser("c3", "c8"), refused=("c8",)
    )

    assert look_up(directory, "c1", "c3") == [NOT_FOUND, REFUSED]


def test_merges_in_a_circle_are_told_as_such() -> None:
    """Of every record that leads there; one merged into itself is the smallest circle."""
    directory = contacts(
        a_loser("c1", "c2"), a_loser("c2", "c3"), a_loser("c3", "c2"), a_loser("c4", "c4")
    )

    assert look_up(directory, "c1", "c2", "c3", "c4") == [CIRCLE] * 4


def test_a_circle_stays_one_though_a_record_of_it_is_refused() -> None:
    """The known rows say so, and no read of that record could mend it by itself."""
    directory = contacts(a_loser("c1", "c2"), a_loser("c2", "c1"), refused=("c1",))

    assert look_up(directory, "c1") == [CIRCLE]


def test_an_excluded_record_is_given_with_the_reason() -> None:
    """Some rules still use it."""
    assert look_up(contacts(a_contact("c1", sync_filter=False)), "c1") == [
        ("c1", "contact_excluded")
    ]


@pytest.mark.parametrize(
    ("loser", "survivor", "reason"),
    [(False, None, None), (False, True, None), (True, False, "contact_excluded")],
)
def test_the_survivor_s_filter_decides(
    loser: bool, survivor: bool | None, reason: str | None
) -> None:
    """What the merged record says counts no more."""
    directory = contacts(
        a_loser("c1", "c2", sync_filter=loser), a_contact("c2", sync_filter=survivor)
    )

    assert look_up(directory, "c1") == [("c2", reason)]


def test_columns_are_those_of_the_survivor() -> None:
    """And null where there is none."""
    directory = contacts(
        a_loser("c1", "c2", parent_id="a1"), a_contact("c2", parent_id="a2"), a_contact("c3")
    )

    found = directory.look_up(pd.Series(["c1", "c2", "c3", "c9"], dtype=TEXT), "parent_id")

    assert pa.array(found["parent_id"]).to_pylist() == ["a2", "a2", None, None]


def test_a_directory_refuses_a_record_that_is_there_twice() -> None:
    """One of both would decide by chance."""
    with pytest.raises(ValueError, match="contact_id is not unique"):
        contacts(a_contact("c1"), a_contact("c1"))

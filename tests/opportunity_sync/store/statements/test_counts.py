"""Counts add up over parts, and what is not told of a row that was read can be seen."""

from __future__ import annotations

from dataclasses import fields

from opportunity_sync.store.statements.counts import Counts


def test_counts_add_up_number_by_number() -> None:
    """None is left out, and adding nothing changes nothing."""
    names = [each.name for each in fields(Counts)]
    one = Counts(**{name: number for number, name in enumerate(names, start=1)})

    both = one + one

    assert [getattr(both, name) for name in names] == [2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22]
    assert one + Counts() == one


def test_changed_are_rows_that_a_reader_finds_different() -> None:
    """Rows that were only read are not among them, nor are facts, which nobody sees."""
    seen = Counts(inserted=1, updated=20, deleted=300, rewritten=4000)
    only_read = Counts(read=7, unchanged=1, filtered=1, refused=1, superseded=1, compared=9)

    assert (seen.changed, only_read.changed, Counts(facts=5).changed) == (4321, 0, 0)


def test_untold_is_what_is_missing_to_the_sum_of_what_was_read() -> None:
    """Rows that changed without being read are beside that sum."""
    told = Counts(read=6, inserted=1, updated=1, unchanged=1, filtered=1, refused=1, superseded=1)

    assert told.unaccounted == 0
    assert (told + Counts(read=2, deleted=5, rewritten=5, compared=5)).unaccounted == 2


def test_facts_are_no_difference_between_two_counts() -> None:
    """They say that the store moved, and not what a run did."""
    assert Counts(facts=1) == Counts()
    assert Counts(inserted=1) != Counts()

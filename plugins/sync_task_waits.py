"""How long each task of a run waited for Dynamics: told through Airflow, said by `finish`.

A run that was throttled for most of an hour looks in Airflow like one with much to do, and the
single waits stand in the logs of other tasks. So a task leaves word of them, however it ends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sync_task_words import leave_word, words_of_tasks

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opportunity_sync.dynamics import DataverseClient

WAITS: Final = "waits"  # the XCom key


class noting_waits:  # noqa: N801 - read as a word: with noting_waits(context, client)
    """Leave word of what the client waited, if it did; never an error of its own."""

    def __init__(self, context: Mapping[str, Any], client: DataverseClient) -> None:
        """Whose waits are told."""
        self.context, self.client = context, client

    def __enter__(self) -> None:
        """Nothing is waited for yet."""

    def __exit__(self, *_error: object) -> None:
        """Tell the waits."""
        counters = self.client.counters
        if not counters.retries:
            return
        word = {
            "retries": counters.retries,
            "throttled": counters.throttled,
            "waited_seconds": round(counters.waited_seconds),
        }
        leave_word(self.context, WAITS, word)


def waits_of(context: Mapping[str, Any]) -> dict[str, dict[str, int]]:
    """What the run's tasks waited, of the last try of each; those that did not are absent."""
    return words_of_tasks(context, WAITS)

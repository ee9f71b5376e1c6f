"""One item of the check: a question, how it is answered, and what an answer says.

An item that breaks must not hide the others, and one that can't be asked is no failure. So every
question ends as `passed`, `failed` or `unknown`, with what was asked, what was found, the next step
and the stable code by which alerts, page and runbook speak of it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from opportunity_sync.errors import SyncError, TransientError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

State: TypeAlias = Literal["passed", "failed", "unknown"]
NOT_ASKED: Final = "check.not_asked"
BROKEN: Final = "check.broken"
_LONGEST_TEXT: Final = 600  # Airflow's state store takes 64 KiB for all items


@dataclass(frozen=True, slots=True)
class Item:
    """The answer to one question. `next_step` and `code` are None where it passed."""

    name: str
    state: State
    asked: str
    found: str
    next_step: str | None = None
    code: str | None = None


class FailedItemError(SyncError):
    """What was asked is not as it should be; `item_code` replaces the question's own."""

    def __init__(self, problem: str, *, next_step: str, item_code: str | None = None) -> None:
        """As `SyncError`, with the stable code of this failure."""
        self.item_code = item_code
        super().__init__(problem, next_step=next_step)


class UndecidedItemError(FailedItemError):
    """What was asked can't be found out."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, and of what.

    `find` gives what was found where all is well, and raises where not. `code` is that of a
    failure. `needs`: the name of an item without which this one can't be asked. `on_transient`: the
    state where the other end did not answer properly.
    """

    name: str
    asked: str
    code: str
    find: Callable[[], str]
    needs: str | None = None
    on_transient: State = "unknown"

    def answer(self) -> Item:
        """Ask."""
        try:
            return self._item("passed", self.find())
        except FailedItemError as error:
            is_undecided = isinstance(error, UndecidedItemError)
            item = self._item_of_error("unknown" if is_undecided else "failed", error)
            return replace(item, code=error.item_code or self.code)
        except TransientError as error:
            return self._item_of_error(self.on_transient, error)
        except SyncError as error:
            return self._item_of_error("failed", error)
        except Exception as error:  # noqa: BLE001 - one broken item must not hide the others
            item = self._item("unknown", f"The check itself broke ({type(error).__name__}).")
            return replace(item, code=BROKEN, next_step="report it: this is a fault of the program")

    def leave_out(self, reason: str, next_step: str) -> Item:
        """The item of a question that was not asked."""
        item = self._item("unknown", f"It was not asked: {reason}.")
        return replace(item, code=NOT_ASKED, next_step=next_step)

    def _item_of_error(self, state: State, error: SyncError) -> Item:
        where = f" [{error.request}]" if error.request else ""
        item = self._item(state, f"{error.problem}{where}")
        return replace(item, code=self.code, next_step=error.next_step)

    def _item(self, state: State, found: str) -> Item:
        return Item(self.name, state, self.asked, _shorten(found))


def answer_all(
    questions: Iterable[Question],
    *,
    seconds: float | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> list[Item]:
    """Ask the questions in their order; none is begun later than `seconds` after the first."""
    started = clock()
    items: dict[str, Item] = {}
    for question in questions:
        needed = items.get(question.needs or "")
        if needed is not None and needed.state != "passed":
            item = question.leave_out(f"{needed.name} did not pass", "mend that item first")
        elif seconds is not None and clock() - started > seconds:
            item = question.leave_out(
                "the time was up", "trigger dynamics_validate, which takes its time"
            )
        else:
            item = question.answer()
        items[item.name] = item
    return list(items.values())


def _shorten(text: str) -> str:
    return text if len(text) <= _LONGEST_TEXT else f"{text[: _LONGEST_TEXT - 1]}…"

"""Facts of an organisation that no documentation settles, found by asking it.

Whoever has a real organisation can send us the report: it holds no name, id or value of any record,
only how Dataverse answers. docs/dataverse-facts.md says what the pipeline assumes of each.
"""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit
from uuid import UUID

from opportunity_sync import store
from opportunity_sync.check.items import FailedItemError, Question, UndecidedItemError
from opportunity_sync.check.sign_in import TOKEN
from opportunity_sync.dynamics import ANNOTATIONS, TRACK_CHANGES
from opportunity_sync.dynamics.metadata.attributes import read_columns_of_type, require_list
from opportunity_sync.dynamics.metadata.organization_plan import read_base_language
from opportunity_sync.dynamics.metadata.privileges import (
    BY_NAMES,
    OF_ALL,
    OF_USER,
    RANK,
    read_held_depths,
)
from opportunity_sync.errors import ConfigError, SyncError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Engine

    from opportunity_sync.check.items import Item
    from opportunity_sync.check.sign_in import SignIn
    from opportunity_sync.dynamics import DataverseClient
    from opportunity_sync.model import Entity, Model

PREFIX: Final = "fact."
_SAMPLE: Final = 50
_FEWEST: Final = 8  # ids in an order that chance does not give
_PREFERENCES: Final = (TRACK_CHANGES, "odata.maxpagesize", "odata.include-annotations")
_NONE: Final = "nothing: it is only worth knowing"


class Facts:
    """What is asked of one organisation, by one table of it."""

    def __init__(self, client: DataverseClient, sign_in: SignIn, model: Model) -> None:
        self.client, self.sign_in, self.model = client, sign_in, model
        self.table: Entity = model.entities[0]

    def find_first_echo(self) -> str:
        """Which preferences the first answer of change tracking echoes."""
        answer = self.client.get(
            self.table.set_name,
            {"$select": self.table.key},
            prefer=(TRACK_CHANGES, ANNOTATIONS, "odata.maxpagesize=1"),
        )
        return _describe_echo(answer.headers.get("Preference-Applied", ""))

    def find_delta_echo(self, engine: Engine | None) -> str:
        """Which preferences an answer to a delta link echoes, by a link that the store keeps."""
        link = None if engine is None else _any_delta_link(engine)
        if link is None:
            raise UndecidedItemError("The store keeps no delta link.", next_step=_NONE)
        answer = self.client.get(link, prefer=(ANNOTATIONS, "odata.maxpagesize=1"))
        return _describe_echo(answer.headers.get("Preference-Applied", ""))

    def find_id_order(self) -> str:
        """In which order ids come, and whether a range of ids goes by the same one."""
        ids = self._ids({"$orderby": f"{self.table.key} asc", "$top": str(_SAMPLE)})
        if len(ids) < _FEWEST:
            raise UndecidedItemError(f"There are fewer than {_FEWEST} rows.", next_step=_NONE)
        middle = len(ids) // 2
        rest = self._ids(
            {
                "$filter": f"{self.table.key} ge {ids[middle]}",
                "$orderby": f"{self.table.key} asc",
                "$top": str(len(ids) - middle),
            }
        )
        ranges = "the same" if rest == ids[middle:] else "another"
        return f"Ids are ordered {_order_of(ids)}; a range of them goes by {ranges} order."

    def find_missing_labels(self) -> str:
        """How many options of choices have no label in the organisation's base language."""
        language = read_base_language(self.client)
        if language is None:
            raise UndecidedItemError("The base language can't be read.", next_step=_NONE)
        options = [
            option
            for entity in self.model.public
            for column in read_columns_of_type(
                self.client, entity, "Picklist", select="LogicalName", expand="OptionSet"
            )
            for option in (column.get("OptionSet") or {}).get("Options") or ()
        ]
        missing = sum(not _has_label(option, language) for option in options)
        return f"{missing} of {len(options)} options have no label in the base language."

    def find_team_roles(self) -> str:
        """Whether both functions that tell privileges agree on those of teams."""
        user = OF_USER.format(user=self.sign_in.identity()["UserId"])
        names = [entity.privilege for entity in self.model]
        older = read_held_depths(self.client, f"{user}{OF_ALL}", {})
        try:
            newer = read_held_depths(
                self.client, f"{user}{BY_NAMES}", {"@names": json.dumps(names)}
            )
        except ConfigError:
            return "RetrieveUserSetOfPrivilegesByNames is not answered."
        keys = [name.lower() for name in names]
        lesser = sum(RANK[older.get(key, "None")] < RANK[newer.get(key, "None")] for key in keys)
        return (
            f"RetrieveUserSetOfPrivilegesByNames is answered; RetrieveUserPrivileges says less of "
            f"{lesser} of {len(keys)} privileges."
        )

    def find_link_spelling(self) -> str:
        """How a link to the next page spells what was asked."""
        asked = urlsplit(self.client.url_of(self.table.set_name))
        answer = self.client.get(
            self.table.set_name, {"$select": self.table.key}, prefer=("odata.maxpagesize=1",)
        )
        answer.require_json()
        link = json.loads(answer.body).get("@odata.nextLink")
        if not isinstance(link, str):
            raise UndecidedItemError("There is no second page.", next_step=_NONE)
        told = urlsplit(link)
        return "; ".join(
            (
                f"host {_compare(asked.netloc, told.netloc)}",
                f"path {_compare(asked.path, told.path)}",
                f"$skiptoken {'plain' if '$skiptoken' in told.query else 'escaped or absent'}",
                f"blanks as {'%20' if '%20' in told.query else 'something else, or none'}",
            )
        )

    def _ids(self, params: dict[str, str]) -> list[str]:
        answer = self.client.get_json(self.table.set_name, {"$select": self.table.key, **params})
        rows = require_list(answer, "value", of="rows")
        return [str(row.get(self.table.key)).lower() for row in rows]


def fact_questions(facts: Facts, engine: Engine | None) -> Iterator[Question]:
    """Every fact, as a question whose answer is never a failure."""
    asked = (
        ("first_echo", "Which preferences does a first answer echo?", facts.find_first_echo),
        (
            "delta_echo",
            "Which preferences does a delta answer echo?",
            partial(facts.find_delta_echo, engine),
        ),
        ("id_order", "In which order do ids come, and ranges of them?", facts.find_id_order),
        ("labels", "Do options lack a label in the base language?", facts.find_missing_labels),
        ("team_roles", "Do both functions tell the roles of teams?", facts.find_team_roles),
        ("links", "How do links to a next page spell the request?", facts.find_link_spelling),
    )
    for name, question, find in asked:
        yield Question(
            f"{PREFIX}{name}", question, "dynamics.fact", partial(_find_fact, find), needs=TOKEN
        )


def report_facts(items: Sequence[Item]) -> list[str]:
    """The facts as lines that may be sent to anybody."""
    return [
        f"{item.name.removeprefix(PREFIX)}: {item.found if item.state == 'passed' else 'unknown'}"
        for item in items
        if item.name.startswith(PREFIX)
    ]


def _find_fact(find: Any) -> str:
    """The fact; whatever Dataverse refuses leaves it open."""
    try:
        return str(find())
    except FailedItemError:
        raise
    except SyncError as error:
        raise UndecidedItemError(error.problem, next_step=_NONE) from error


def _any_delta_link(engine: Engine) -> str | None:
    with store.read_store(engine) as connection:
        if not store.is_made(connection):
            return None
        links = store.read_state(connection).delta_links
    return next(iter(links.values()), None)


def _describe_echo(applied: str) -> str:
    named = [name for name in _PREFERENCES if name in applied]
    return f"Echoed: {', '.join(named) or 'none'}."


def _order_of(ids: Sequence[str]) -> str:
    """The order that the ids are in: that of text, of SQL Server, or of neither."""
    if list(ids) == sorted(ids):
        return "as text"
    return "as SQL Server does" if list(ids) == sorted(ids, key=_sql_server_key) else "otherwise"


def _sql_server_key(text: str) -> bytes:
    """SQL Server compares the last group of a GUID first, and turns the first three around."""
    raw = UUID(text).bytes_le
    return raw[10:16] + raw[8:10] + raw[6:8] + raw[4:6] + raw[0:4]


def _has_label(option: dict[str, Any], language: int) -> bool:
    labels = (option.get("Label") or {}).get("LocalizedLabels") or ()
    return any(label.get("LanguageCode") == language and label.get("Label") for label in labels)


def _compare(asked: str, told: str) -> str:
    if asked == told:
        return "spelled alike"
    return "in other case" if asked.lower() == told.lower() else "another one"

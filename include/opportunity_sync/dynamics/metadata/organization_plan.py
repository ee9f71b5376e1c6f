"""The organisation's metadata, asked for once per run and made into a model and a plan.

Marketo's own sync stops at a column that was renamed or secured. Here the column is left out, the
log names it, and the run goes on.
"""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from opportunity_sync.dynamics.metadata.attributes import require_list
from opportunity_sync.dynamics.metadata.column_security import ColumnSecurity
from opportunity_sync.dynamics.metadata.privileges import ReadDepths
from opportunity_sync.dynamics.metadata.table_plan import TablePlanner, WantedTable
from opportunity_sync.dynamics.plan import Plan
from opportunity_sync.errors import ConfigError, ResponseError
from opportunity_sync.model import DEFAULT_MODEL, Entity, Model, Selection

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opportunity_sync.dynamics.client import DataverseClient

log = logging.getLogger(__name__)

_AT_ONCE: Final = 4


def read_organization(
    client: DataverseClient,
    selection: Selection,
    *,
    language: int | None,
    time_zone: str | None = None,
    model: Model = DEFAULT_MODEL,
) -> tuple[Model, Plan]:
    """The model's tables with the selected fields as they are here, and what of them can be read.

    Default fields are in the answer whether they can be read or not. A selected column is, with
    the kind that metadata gives it, where it can be read; any other is among what the plan leaves
    out. Parameters and errors are those of `organization_plan`.
    """
    wanted = [_want_table(entity, selection) for entity in model]
    return _read(client, wanted, language=language, time_zone=time_zone)


def organization_plan(
    client: DataverseClient,
    entities: Sequence[Entity],
    *,
    language: int | None,
    time_zone: str | None = None,
) -> Plan:
    """What can be read of these tables, whose fields have their kinds already.

    `language` is the LCID wanted for choice labels, `time_zone` the IANA name of the zone in
    which the day of a date counts that comes as an instant.

    Raises:
        PrivilegeError: a table may not be read; the message names the privilege.
        ConfigError: a table does not exist, or a column that the association rules need can't
            be read.
        ResponseError: an answer is not what it should be.
    """
    wanted = [WantedTable(entity) for entity in entities]
    _, plan = _read(client, wanted, language=language, time_zone=time_zone)
    return plan


def read_base_language(client: DataverseClient) -> int | None:
    """The organisation's base language; None where it may not be read, and the user's counts."""
    try:
        answer = client.get_json("organizations", {"$select": "languagecode"})
    except ConfigError as error:
        log.warning("The base language can't be read, labels are in the user's: %s", error)
        return None
    rows = require_list(answer, "value", of="the organisation")
    if not rows:
        return None
    code = rows[0].get("languagecode")
    if type(code) is not int:
        raise ResponseError("Dataverse's answer about the organisation has no base language.")
    return code


def _want_table(entity: Entity, selection: Selection) -> WantedTable:
    if not entity.is_public:
        return WantedTable(entity)
    selected = selection[entity.name]
    return WantedTable(replace(entity, fields=selected.fields), selected.custom)


def _read(
    client: DataverseClient,
    wanted: Sequence[WantedTable],
    *,
    language: int | None,
    time_zone: str | None,
) -> tuple[Model, Plan]:
    identity = client.who_am_i()
    spoken = language if language is not None else read_base_language(client)
    tables = [table.entity for table in wanted]
    depths = ReadDepths(client, identity["UserId"], tables)
    security = ColumnSecurity(client, identity["UserId"], tables)
    planner = TablePlanner(client, spoken, time_zone, depths, security)
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="metadata") as pool:
        planned = list(pool.map(planner.plan, wanted))
    model = Model(tuple(entity for entity, _ in planned))
    plans = {entity.name: plan for entity, plan in planned}
    plan = Plan(identity["OrganizationId"], spoken, plans)
    for line in plan.report():
        log.info("%s", line)
    for line in (*plan.warnings(), *depths.warnings(tables)):
        log.warning("%s", line)
    return model, plan

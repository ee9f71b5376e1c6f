"""What the decoder lets pass, rules and both databases take, to the last bit; the rest is refused.

Values at the ends of every type stand in the answers of a real server, put there byte by byte on
their way. If a later stage took less than the decoder, one record would stop the whole table.
"""

from __future__ import annotations

import json
import random
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select, text

from dynamics_sandbox import Organisation, Sandbox
from opportunity_sync.dynamics import DataverseClient, PageDecoder, Plan
from opportunity_sync.dynamics.signin.signed_session import HEADERS, BearerAuth
from opportunity_sync.dynamics.signin.token_source import TokenSource
from opportunity_sync.http.session import StrictSession
from opportunity_sync.model import CONTACT, OPPORTUNITY, Entity, Kind
from opportunity_sync.store import store_engine
from opportunity_sync.store.schema.tables import public_table
from raw_proxy import Altered, RawProxy
from scripted_dataverse import connection_to
from sync_runs import SyncRuns, settings_for_tests

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine

    from opportunity_sync.model import Column

TYPE = "@Microsoft.Dynamics.CRM.lookuplogicalname"
LONG_AGO, FAR_AWAY = "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"
TEXTS = [
    *(
        '""',
        '" "',
        r'"\u0000"',
        r'"\ud800"',
        r'"\ufffe"',
        r'"\u202e"',
        r'"\\N"',
        r'"\\."',
        r'"\t\n\r"',
    ),
    *(
        '"NULL"',
        '"%s :x {y}"',
        r'"\u2028\u007f"',
        json.dumps("'\"\\"),
        json.dumps("\U0001f600" * 9),
    ),
    json.dumps("x" * 100_000),
]
NUMBERS = ["0", "-1", str(2**63 - 1), str(-(2**63)), str(2**63), "1e400", "null"]
MONEY = ["0", "-0.0", "1e39", "1e40", "9" * 40, f"-0.{'1' * 40}", "1e-40", "1e-41", "1E+2", "0e5"]
INSTANTS = [LONG_AGO, FAR_AWAY, "9999-12-31T23:59:59.9999999Z", "1677-01-01T00:00:00Z"]
INSTANTS += ["2262-05-01T00:00:00Z", "0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00"]
INSTANTS += ["0000-01-01T00:00:00Z", "1900-01-01T00:00:00+14:00"]
DATES = [
    "0001-01-01",
    "9999-12-31",
    "1582-10-10",
    "0004-02-29",
    "0000-01-01",
    "2026-02-03T23:00:00Z",
]
VERSIONS = ["0", "-1", str(2**63 - 1), str(-(2**63))]

# Members as they are written, put into one row each.
ODD: dict[str, list[str]] = {
    "contact": [
        *(f'"lastname":{text}' for text in TEXTS),
        *(f'"createdon":"{moment}"' for moment in INSTANTS),
        *(f'"versionnumber":{version}' for version in VERSIONS),
        f'"statuscode":{2**31 - 1}',
        f'"statuscode":{-(2**31)}',
        f'"_ownerid_value{TYPE}":null',
        f'"_ownerid_value{TYPE}":"queue"',
    ],
    "opportunity": [
        *(f'"description":{text}' for text in TEXTS),
        *(f'"closeprobability":{number}' for number in NUMBERS),
        *(f'"estimatedvalue":{number}' for number in MONEY),
        *(f'"actualclosedate":"{day}"' for day in DATES),
        *(f'"modifiedon":"{moment}"' for moment in INSTANTS),
        f'"_customerid_value{TYPE}":"new_partner"',
        f'"_customerid_value{TYPE}":null',
        '"name":NaN',
    ],
}


@dataclass
class OddAnswers:
    """Puts the odd members into the rows of these keys, whichever answer they are in."""

    members: dict[str, str]
    rows: dict[str, str] = field(default_factory=dict)  # as they went out, by key

    def change(self, body: bytes) -> bytes:
        """The body with the members in place of the rows' own."""
        answer = json.loads(body, parse_float=Decimal)
        if "value" not in answer:
            return body
        rows = [self._row(row) for row in answer.pop("value")]
        around = "".join(f"{json.dumps(name)}:{json.dumps(answer[name])}," for name in answer)
        return f'{{{around}"value":[{",".join(rows)}]}}'.encode()

    def _row(self, row: dict[str, Any]) -> str:
        key = row.get("contactid") or row.get("opportunityid") or ""
        text = json.dumps(row, default=float)
        if key in self.members:
            name = json.loads(self.members[key].split(":", 1)[0])
            others = {given: value for given, value in row.items() if given != name}
            text = f"{json.dumps(others, default=float)[:-1]},{self.members[key]}}}"
        if key and "modifiedon" in row:
            self.rows[key] = text
        return text


@dataclass
class ProxiedRuns(SyncRuns):
    """Runs that read through the proxy before the sandbox."""

    address: str = ""

    @contextmanager
    def client(self) -> Iterator[DataverseClient]:
        """A client of the proxy that carries the sandbox's token."""
        with StrictSession(None) as session:
            session.headers.update(HEADERS)
            session.auth = BearerAuth(TokenSource(connection_to(self.sandbox)), self.address)
            yield DataverseClient(session, self.address, settings=self.settings)


def an_organisation() -> tuple[Organisation, dict[str, str]]:
    """Rows enough for every odd member and as many plain ones; which member goes where."""
    organisation, draw = Organisation.empty(), random.Random(7)
    account = organisation.create("accounts", {"name": "A"})
    members: dict[str, str] = {}
    for member in [*ODD["contact"], *[None] * 300]:
        row = {"lastname": "N", "_parentcustomerid_value": account, "statuscode": 1}
        key = organisation.create("contacts", {**row, f"_parentcustomerid_value{TYPE}": "account"})
        members |= {key: member} if member else {}
    for member in [*ODD["opportunity"], *[None] * 300]:
        text = "".join(chr(draw.choice([draw.randrange(1, 0xD800), 0x1F600])) for _ in range(9))
        row = {"name": text, "_customerid_value": account, f"_customerid_value{TYPE}": "account"}
        key = organisation.create("opportunities", row)
        members |= {key: member} if member else {}
    return organisation, members


def decoded(entity: Entity, rows: dict[str, str]) -> tuple[dict[str, Any], set[str]]:
    """What the decoder makes of the rows: those that it takes, by key, and the keys refused."""
    body = f'{{"value":[{",".join(text for text in rows.values() if entity.key in text)}]}}'
    page = PageDecoder(entity, Plan.complete([entity])).decode(body.encode())
    refused = {str(error.record_id) for error in page.refused}
    return {row[entity.key_column]: row for row in page.table.to_pylist()}, refused


def stored(engine: Engine, entity: Entity) -> dict[str, Any]:
    """The rows of the public table, by key."""
    with engine.connect() as connection:
        rows = connection.execute(select(public_table(entity))).mappings().all()
    return {row[entity.key_column]: dict(row) for row in rows}


def plain(column: Column, value: Any) -> Any:
    """A value in the form in which both sides can be compared."""
    return Decimal(value) if column.kind is Kind.MONEY and value is not None else value


@pytest.mark.parametrize("kind", ["sqlite_url", "postgres"])
def test_what_the_decoder_takes_every_later_stage_takes(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """The run ends well, each row taken is in the store as decoded, each other one is named."""
    organisation, members = an_organisation()
    engine = store_engine(request.getfixturevalue(kind))
    odd = OddAnswers(members)
    with Sandbox(organisation) as sandbox, RawProxy(sandbox.url, str(ca_of(sandbox))) as proxy:
        for entity in (CONTACT, OPPORTUNITY):
            proxy.say(Altered(odd.change), path=f"/{entity.set_name}?", times=10**6)
        ProxiedRuns(sandbox, engine, settings_for_tests(tmp_path), address=proxy.url).run("full")

    with engine.connect() as connection:
        told = set(connection.scalars(text("SELECT record_id FROM sync_error")))
    for entity in (CONTACT, OPPORTUNITY):
        taken, refused = decoded(entity, odd.rows)
        found = stored(engine, entity)
        assert taken.keys() == found.keys()
        assert refused <= told
        assert min(len(taken), len(refused)) > 0
        columns = [column for column in entity.public_columns if "_label" not in column.name]
        for key, row in taken.items():
            expected = {column.name: plain(column, row[column.name]) for column in columns}
            assert expected == {
                column.name: plain(column, found[key][column.name]) for column in columns
            }, members.get(key)
    engine.dispose()


def ca_of(sandbox: Sandbox) -> Path:
    """The authority that signs the sandbox's certificate."""
    return Path(sandbox.connection()["extra"]["verify"])

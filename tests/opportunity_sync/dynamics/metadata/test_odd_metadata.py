"""Whatever stands in a metadata answer, a plan or an error of ours comes of it, never a raw one."""

from __future__ import annotations

import copy
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest
import requests

from opportunity_sync.dynamics import DataverseClient, organization_plan
from opportunity_sync.errors import ResponseError, SyncError
from opportunity_sync.model import OPPORTUNITY, Entity
from opportunity_sync.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dynamics_sandbox import Organisation, Sandbox

ENTITIES: tuple[Entity, ...] = (OPPORTUNITY,)
ODD: tuple[Any, ...] = (None, 5, [], {}, "x")
# What a plan is made of; the rest of an answer is not looked at.
MEMBERS = frozenset(
    {
        *("value", "Attributes", "LogicalName", "AttributeType", "IsValidForRead", "IsSecured"),
        *("AttributeTypeName", "AttributeOf", "SourceType", "MetadataId"),
        *("EntitySetName", "ChangeTrackingEnabled", "DateTimeBehavior", "Value", "Format"),
        *("OptionSet", "GlobalOptionSet", "Options", "Label", "LocalizedLabels", "LanguageCode"),
        *("UserLocalizedLabel", "RolePrivileges", "PrivilegeName", "Depth", "languagecode"),
        *("AttributePrivileges", "AttributeId", "CanRead", "entityname", "attributelogicalname"),
    }
)
Answers = dict[str, Any]
Path = tuple[str | int, ...]


def places(value: Any, path: Path = ()) -> Iterator[tuple[Path, Path]]:
    """Every place in a JSON value, each with its kind: the same path without list positions."""
    yield path, tuple("*" if isinstance(step, int) else step for step in path)
    steps: dict[Any, Any] = {}
    if isinstance(value, dict):
        steps = {member: value[member] for member in value if member in MEMBERS}
    elif isinstance(value, list):
        steps = dict(enumerate(value))
    for step, inner in steps.items():
        yield from places(inner, (*path, step))


def selected_only(answer: Answers) -> Answers:
    """The answer without the columns that nobody selected."""
    names = {field.source for entity in ENTITIES for field in entity.all_fields}
    return {
        member: [item for item in value if item.get("LogicalName", "name") in names]
        if isinstance(value, list)
        else value
        for member, value in answer.items()
    }


def with_odd(answers: Answers, target: str, path: Path, odd: Any) -> Answers:
    """The answers, one of them with an odd value in one place."""
    changed = dict(answers)
    if not path:
        return {**changed, target: odd}
    changed[target] = owner = copy.deepcopy(answers[target])
    for step in path[:-1]:
        owner = owner[step]
    owner[path[-1]] = odd
    return changed


def spelled_out(target: str) -> str:
    """Path and query without the escapes that ours have."""
    return target.replace("%22", '"').replace("%20", " ")


@pytest.fixture
def answers(client: DataverseClient, sandbox: Sandbox, organisation: Organisation) -> Answers:
    """What a sound organisation answers to the questions of a plan, by path and query."""
    organisation.create("opportunities", {"actualclosedate": "2026-02-03"})
    for name in ("description", "name"):
        organisation.secure_column("opportunities", name)
        organisation.grant_column("opportunities", name)
    organisation.mask_column("opportunities", "name")
    organization_plan(client, ENTITIES, language=None)
    asked = [f"{request.path}?{request.query}" for request in sandbox.requests.all("/api/data/")]
    found = {}
    for target in dict.fromkeys(asked):
        try:
            found[spelled_out(target)] = selected_only(
                json.loads(client.get(f"{sandbox.url}{target}").body)
            )
        except SyncError:
            continue
    return found


@pytest.fixture
def plan_with() -> Iterator[Callable[[Answers], str]]:
    """Makes a plan of answers; tells what came of it."""
    now: Answers = {}

    class Handler(BaseHTTPRequestHandler):
        """Gives the answers of the moment."""

        protocol_version = "HTTP/1.1"
        wbufsize = -1  # an answer in one piece: in two it waits 40 ms for the client

        def do_GET(self) -> None:
            """Answer, or refuse the one column that no standard organisation has."""
            target = spelled_out(self.path)
            known = next((key for key in now if key.split("?")[0] == target.split("?")[0]), None)
            exact = target if target in now else None if "new_synctomkto" in target else known
            text = "Could not find a property named 'new_synctomkto' on type 'x'."
            refusal = {"error": {"code": "0x80060888", "message": text}}
            body = json.dumps(refusal if exact is None else now[exact]).encode()
            self.send_response(400 if exact is None else 200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http, requests.Session() as session:
        session.trust_env = False
        thread = Thread(target=http.serve_forever, args=(0.02,))
        thread.start()
        settings = Settings(request_attempts=1)
        url = f"http://127.0.0.1:{http.server_address[1]}"
        client = DataverseClient(session, url, settings=settings, first_wait_seconds=0)

        def make(answers: Answers) -> str:
            now.clear()
            now.update(answers)
            try:
                organization_plan(client, ENTITIES, language=None)
            except SyncError as error:
                return type(error).__name__
            return "plan"

        yield make
        http.shutdown()
        thread.join()


def test_an_odd_value_anywhere_in_an_answer_ends_in_a_plan_or_in_an_error_of_ours(
    answers: Answers, plan_with: Callable[[Answers], str]
) -> None:
    """Each kind of place that answers have, with each of the odd values."""
    assert plan_with(answers) == "plan"
    found = {
        kind: (target, path)
        for target, answer in answers.items()
        for path, kind in places(answer)
        if path
    }
    outcomes = {
        plan_with(with_odd(answers, target, path, odd))
        for target, path in found.values()
        for odd in ODD
    }
    assert len(found) > 25
    assert {"plan", "ConfigError", ResponseError.__name__} == outcomes

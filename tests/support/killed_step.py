"""One step of a run in a process of its own that is killed at a chosen point, for real.

The point is a function and the number of the call to it; SIGKILL strikes before or after that
call, so no handler, no `finally` and no rollback of ours runs. Only this process is changed.
"""

from __future__ import annotations

import functools
import os
import signal
from importlib import import_module
from typing import Any

from opportunity_sync.dynamics import DataverseClient, DynamicsConnection, dynamics_session
from opportunity_sync.pipeline import beginning, ending, extraction, loading, transformation
from opportunity_sync.pipeline.run import RunRequest
from opportunity_sync.settings import Settings
from opportunity_sync.store import store_engine


def strike_at(target: str, nth: int, *, after: bool) -> None:
    """Kill this process at the `nth` call of `module:name` or `module:Class.method`."""
    module, _, path = target.partition(":")
    owner: Any = import_module(module)
    *parents, name = path.split(".")
    for parent in parents:
        owner = getattr(owner, parent)
    original, calls = getattr(owner, name), 0

    @functools.wraps(original)
    def strike_or_call(*arguments: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == nth and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        result = original(*arguments, **options)
        if calls == nth and after:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, strike_or_call)


def do(order: dict[str, Any]) -> None:
    """Do the step; the process does not survive it."""
    strike_at(order["target"], order["nth"], after=order["after"])
    settings = Settings(**order["settings"])
    given, run = order["connection"], order["run"]
    connection = DynamicsConnection.from_parts(
        given["host"], given["login"], given["password"], given["extra"]
    )
    engine = store_engine(order["store"])
    with dynamics_session(connection) as session:
        client = DataverseClient(session, connection.organization_url, settings=settings)
        if order["step"] == "begin":
            asked = RunRequest(**order["request"])
            beginning.begin(client, engine, request=asked, settings=settings)
        elif order["step"] == "extract":
            for task in order["tasks"]:
                extraction.extract(client, run, task=task)
        elif order["step"] == "transform":
            transformation.transform(client, engine, run, settings=settings)
        elif order["step"] == "load":
            loading.load(engine, run, settings=settings)
        else:
            ending.finish(engine, run, succeeded=True, settings=settings)

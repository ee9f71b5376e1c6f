"""A small honest stand-in for a Dynamics 365 organisation: the Dataverse Web API over real HTTP.

`Organisation` holds rows that change as Dataverse changes them, `Sandbox` serves it over TLS with
its own token service and scripted faults, `SandboxAdmin` drives it from another process, and
`python -m dynamics_sandbox` runs it by itself.
"""

from __future__ import annotations

from dynamics_sandbox.client import SandboxAdmin, SandboxAdminError
from dynamics_sandbox.faults import Fault, FaultKind
from dynamics_sandbox.organisation import Organisation, Touch
from dynamics_sandbox.schema import TABLES, Attribute, Table
from dynamics_sandbox.server import Address, Sandbox

__all__ = [
    "TABLES",
    "Address",
    "Attribute",
    "Fault",
    "FaultKind",
    "Organisation",
    "Sandbox",
    "SandboxAdmin",
    "SandboxAdminError",
    "Table",
    "Touch",
]

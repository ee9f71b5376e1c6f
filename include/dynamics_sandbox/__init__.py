"""A small honest stand-in for a Dynamics 365 organisation: the Dataverse Web API over real HTTP.

`Organisation` holds rows that change as Dataverse changes them, `Sandbox` serves it over TLS with
its own token service and scripted faults, `SandboxAdmin` drives it from another process, and
`python -m dynamics_sandbox` runs it by itself.
"""

from __future__ import annotations

from dynamics_sandbox.organisation.organisation import Organisation, Touch
from dynamics_sandbox.schema.attribute import Attribute
from dynamics_sandbox.schema.standard_tables import TABLES
from dynamics_sandbox.schema.table import Table
from dynamics_sandbox.server.admin_client import SandboxAdmin, SandboxAdminError
from dynamics_sandbox.server.sandbox import Address, Sandbox
from dynamics_sandbox.server.scripted_faults import Fault, FaultKind

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

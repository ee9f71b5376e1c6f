"""Dynamics 365 through the Dataverse Web API: sign-in, pages, metadata, typed rows."""

from __future__ import annotations

from opportunity_sync.dynamics.backlog import Waiting, count_waiting
from opportunity_sync.dynamics.client import IDS_PER_REQUEST, DataverseClient
from opportunity_sync.dynamics.error_answers import is_expired_delta
from opportunity_sync.dynamics.guids import is_guid
from opportunity_sync.dynamics.metadata.offered_columns import OfferedColumn, describe_columns
from opportunity_sync.dynamics.metadata.organization_plan import (
    organization_plan,
    read_organization,
)
from opportunity_sync.dynamics.metadata.privileges import ReadDepths, sees_every_row
from opportunity_sync.dynamics.metadata.security_check import (
    require_same_security,
)
from opportunity_sync.dynamics.pages.paging import ANNOTATIONS, TRACK_CHANGES, Page, is_own_link
from opportunity_sync.dynamics.plan import EntityPlan, LeftOut, Plan
from opportunity_sync.dynamics.query import first_query, listing_query
from opportunity_sync.dynamics.rows.decoder import DecodedPage, PageDecoder, staged_schema
from opportunity_sync.dynamics.signin.certificate_end import certificate_end
from opportunity_sync.dynamics.signin.credentials import AuthFlow, DynamicsConnection
from opportunity_sync.dynamics.signin.signed_session import dynamics_session

__all__ = [
    "ANNOTATIONS",
    "IDS_PER_REQUEST",
    "TRACK_CHANGES",
    "AuthFlow",
    "DataverseClient",
    "DecodedPage",
    "DynamicsConnection",
    "EntityPlan",
    "LeftOut",
    "OfferedColumn",
    "Page",
    "PageDecoder",
    "Plan",
    "ReadDepths",
    "Waiting",
    "certificate_end",
    "count_waiting",
    "describe_columns",
    "dynamics_session",
    "first_query",
    "is_expired_delta",
    "is_guid",
    "is_own_link",
    "listing_query",
    "organization_plan",
    "read_organization",
    "require_same_security",
    "sees_every_row",
    "staged_schema",
]

"""Dynamics 365 through the Dataverse Web API: sign-in, pages, metadata, typed rows."""

from __future__ import annotations

from opportunity_sync.dynamics.addresses import same_origin
from opportunity_sync.dynamics.client import IDS_PER_REQUEST, DataverseClient, check
from opportunity_sync.dynamics.connection import AuthFlow, DynamicsConnection
from opportunity_sync.dynamics.decode import DecodedPage, PageDecoder, staged_schema
from opportunity_sync.dynamics.failures import is_expired_delta
from opportunity_sync.dynamics.metadata import organization_plan
from opportunity_sync.dynamics.paging import ANNOTATIONS, TRACK_CHANGES, Page
from opportunity_sync.dynamics.plan import EntityPlan, LeftOut, Plan
from opportunity_sync.dynamics.privileges import sees_every_row
from opportunity_sync.dynamics.query import first_query, listing_query
from opportunity_sync.dynamics.session import dynamics_session

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
    "Page",
    "PageDecoder",
    "Plan",
    "check",
    "dynamics_session",
    "first_query",
    "is_expired_delta",
    "listing_query",
    "organization_plan",
    "same_origin",
    "sees_every_row",
    "staged_schema",
]

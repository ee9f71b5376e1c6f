"""Who may ask the page: whoever Airflow lets read the sync's DAG, or trigger it to change anything.

Airflow lends its login to pages but does not ask for it: what is mounted is open unless it asks by
itself. Both dependencies here do, by the auth manager that is configured.
"""

from __future__ import annotations

from urllib.parse import urlsplit

# FastAPI reads annotations when the page is made, so these names must be there.
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.core_api.security import requires_access_dag
from fastapi import Depends, HTTPException, Request

from opportunity_sync.status.overview import SYNC_DAG

may_read = requires_access_dag("GET", param_dag_id=SYNC_DAG)
may_trigger = requires_access_dag("POST", DagAccessEntity.RUN, param_dag_id=SYNC_DAG)
# Only a script of the same origin can send it: another site's would be asked for permission first.
OWN_HEADER = "x-requested-with"


def refuse_foreign_sites(request: Request) -> None:
    """Refuse what another site's page could have sent with a logged-in person's cookie.

    A request that brings its token itself is nobody's trick.
    """
    if request.headers.get("authorization", "").lower().startswith("bearer "):
        return
    if not is_own_request(request):
        raise HTTPException(403, "The request does not come from the page itself.")


def is_own_request(request: Request) -> bool:
    """Whether browser and headers say that a page of this origin sent it; silence says no."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    origin = request.headers.get("origin")
    if origin is not None:
        return urlsplit(origin).netloc == request.headers.get("host")
    return OWN_HEADER in request.headers


Reader = Depends(may_read)
Trigger = [Depends(may_trigger), Depends(refuse_foreign_sites)]

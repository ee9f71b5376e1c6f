"""What Airflow is to mount: the page "Dynamics sync" with its JSON, and the notes of our runs.

Airflow imports this file in every process and needs the page in one, the API server. So what
answers is only imported when it is asked for the first time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.plugins_manager import AirflowPlugin

import sync_run_notes

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

PREFIX = "/dynamics-sync"


class LatePage:
    """The page's application, made at its first request."""

    def __init__(self) -> None:
        """Nothing is made yet."""
        self.made: Callable[..., Awaitable[None]] | None = None

    async def __call__(self, *given: Any) -> None:
        """Answer one request, as ASGI has it."""
        if self.made is None:
            from sync_page_routes import make_page
            from sync_page_sources import settings_or_default

            self.made = make_page(open_health=settings_or_default().open_health)
        await self.made(*given)


class DynamicsSyncPlugin(AirflowPlugin):
    """The page, where Airflow's navigation leads to it, and whom the scheduler tells of runs."""

    name = "dynamics_sync"
    # Airflow declares all three as lists of each plugin.
    fastapi_apps: list[Any] = [  # noqa: RUF012 - as it declares them
        {"app": LatePage(), "url_prefix": PREFIX, "name": "Dynamics sync"}
    ]
    external_views: list[Any] = [  # noqa: RUF012 - likewise
        {
            "name": "Dynamics sync",
            # Without a leading slash: Airflow may live below a path of its own.
            "href": f"{PREFIX.removeprefix('/')}/",
            "destination": "nav",
            "url_route": "dynamics-sync",
        }
    ]
    listeners: list[Any] = [sync_run_notes]  # noqa: RUF012 - likewise

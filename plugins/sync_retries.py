"""When Airflow tries a failed task again, decided by the error's class.

Airflow retries every failure alike, so a wrong password would be tried for a quarter of an hour
and its message buried under the attempts. The policy fails such a task at once and leaves the
message as the log's last line; where the server named a time to wait, that is when the task
comes back; everything else follows the task's own exponential back-off.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from airflow.sdk import RetryPolicy
from airflow.sdk.definitions.retry_policy import RetryDecision

from opportunity_sync.errors import ConfigError, TransientError

if TYPE_CHECKING:
    from airflow.sdk import Context


class SyncRetryPolicy(RetryPolicy):
    """A person must act: fail now. The server named a time: come back then. Else: back off."""

    def evaluate(  # noqa: PLR0917 the base class's signature, as below
        self,
        exception: BaseException,
        try_number: int,  # noqa: ARG002
        max_tries: int,  # noqa: ARG002
        context: Context | None = None,  # noqa: ARG002
    ) -> RetryDecision:
        match exception:
            case ConfigError():
                return RetryDecision.fail(f"{exception} Not tried again.")
            case TransientError(retry_after=float() | int() as seconds):
                return RetryDecision.retry(timedelta(seconds=seconds), reason=str(exception))
            case _:
                return RetryDecision.default()

"""Sends alerts the ways that `OPPORTUNITY_SYNC_ALERTS` names, through Airflow's notifiers.

Airflow's log is the way that is always there; a webhook needs only an HTTP connection. E-mail
and Slack are their providers' notifiers, imported only where they are asked for. A way that fails
fails no run: the rows are in the store, and the next run tells again.
"""

from __future__ import annotations

import logging
from importlib import import_module
from typing import TYPE_CHECKING, Any

from opportunity_sync.errors import SyncError
from sync_report import describe_unforeseen

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opportunity_sync.settings import Settings
    from opportunity_sync.store import Alert, AlertChange

log = logging.getLogger(__name__)

SUBJECT = "Dynamics sync"


def tell_people(context: Mapping[str, Any], *, settings: Settings) -> None:
    """Tell what has newly gone wrong or is well again; whatever fails here is only logged."""
    from opportunity_sync.pipeline.telling.telling_alerts import tell_alerts
    from sync_run_connections import books

    try:
        with books(settings) as engine:
            tell_alerts(
                engine, lambda change: send(change, context, settings=settings), settings=settings
            )
    except Exception as error:  # noqa: BLE001 - the run's own end is what counts
        log.warning(
            "Whether something is to be told can't be found out: %s",
            error if isinstance(error, SyncError) else describe_unforeseen(error),
        )


def send(change: AlertChange, context: Mapping[str, Any], *, settings: Settings) -> bool:
    """Send each alert by each way; returns whether all of them were taken."""
    told = [
        *(message_of(alert, "wrong") for alert in change.wrong),
        *(message_of(alert, "well again") for alert in change.well),
    ]
    ways = [way.strip() for way in settings.alerts.split(",")]
    # All are tried, also after one that failed.
    taken = [send_by(way, message, context) for way in ways for message in told]
    return all(taken)


def message_of(alert: Alert, state: str) -> dict[str, str]:
    """What is sent: the same keys whatever the way, `text` for people, the rest for programs."""
    well = f"{SUBJECT}: well again: {alert.code}"
    where = f" ({alert.entity})" if alert.entity else ""
    wrong = f"{SUBJECT}: {alert.message} Next step: {alert.next_step.rstrip('.')}. [{alert.code}]"
    return {
        "state": state,
        "code": alert.code,
        "entity": alert.entity,
        "message": alert.message,
        "next_step": alert.next_step,
        "text": wrong if state == "wrong" else f"{well}{where}.",
    }


def send_by(way: str, message: Mapping[str, str], context: Mapping[str, Any]) -> bool:
    """Send a message by one way; a way that can't is said in the log."""
    kind, _, target = way.partition(":")
    try:
        SENDERS[kind](target, message, context)
    except Exception as error:  # noqa: BLE001 - any notifier, any reason
        log.warning(
            "The alert %s can't be sent by %s: %s. The next run tries again.",
            message["code"],
            kind,
            error if isinstance(error, SyncError) else describe_unforeseen(error),
        )
        return False
    return True


def write_log(_target: str, message: Mapping[str, str], _context: Mapping[str, Any]) -> None:
    """One line, as a warning or as good news."""
    level = logging.WARNING if message["state"] == "wrong" else logging.INFO
    log.log(level, "Alert: %s", message["text"])


def call_webhook(conn_id: str, message: Mapping[str, str], context: Mapping[str, Any]) -> None:
    """Post the message as JSON to the address of an HTTP connection, its path included."""
    notify("airflow.providers.http.notifications.http.HttpNotifier", context,
        http_conn_id=conn_id, endpoint="", json=dict(message))  # fmt: skip


def send_email(address: str, message: Mapping[str, str], context: Mapping[str, Any]) -> None:
    """Send a mail through `smtp_default`, whose extra names the sender."""
    from html import escape

    notify("airflow.providers.smtp.notifications.smtp.SmtpNotifier", context,
        to=address, subject=f"{SUBJECT}: {message['code']} ({message['state']})",
        html_content=escape(message["text"]))  # fmt: skip


def send_slack(conn_id: str, message: Mapping[str, str], context: Mapping[str, Any]) -> None:
    """Post the text to a Slack webhook connection."""
    notify("airflow.providers.slack.notifications.slack_webhook.SlackWebhookNotifier", context,
        slack_webhook_conn_id=conn_id, text=message["text"])  # fmt: skip


def notify(notifier: str, context: Mapping[str, Any], **given: Any) -> None:
    """Let a notifier of a provider send; unlike its call, `notify` lets an error be seen.

    Nothing is rendered as a template: a message is data.
    """
    module, _, name = notifier.rpartition(".")
    getattr(import_module(module), name)(**given).notify(context)


SENDERS = {"log": write_log, "webhook": call_webhook, "email": send_email, "slack": send_slack}

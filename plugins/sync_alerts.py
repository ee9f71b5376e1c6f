"""Sends alerts the ways that `OPPORTUNITY_SYNC_ALERTS` names, through Airflow's notifiers.

Airflow's log is the way that is always there; a webhook needs only an HTTP connection. E-mail
and Slack are their providers' notifiers, imported only where they are asked for. A way that fails
or is late fails no run and holds none up: the rows are in the store, and the next run tells again.

What was told stands in the store. Where that is what is broken, Airflow's state store remembers.
"""

from __future__ import annotations

import logging
import time
from contextvars import copy_context
from dataclasses import asdict
from functools import partial
from importlib import import_module
from queue import Empty, Queue
from threading import Thread
from typing import TYPE_CHECKING, Any

from opportunity_sync.codes import STORE_AWAY
from opportunity_sync.errors import ConfigError, SyncError
from sync_assets import MARKETO_STORE
from sync_metrics import send_metrics
from sync_patience import is_last_try
from sync_report import describe_unforeseen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from opportunity_sync.settings import Settings
    from opportunity_sync.store import Alert, AlertChange

log = logging.getLogger(__name__)

SUBJECT = "Dynamics sync"
LOST = "lost"  # the alert of a store that can't be asked, as it was told
PATIENCE = 10.0  # seconds for a message
MESSAGES = 3  # which may take so long: all messages of a way together have thirty seconds


def tell_people(context: Mapping[str, Any], *, settings: Settings) -> None:
    """Tell what has newly gone wrong or is well again; whatever fails here is only logged.

    `context`: a task's, or of a deadline, in which Airflow's state store can't be asked.
    """
    try:
        tell_of_books(context, settings=settings)
        tell_store_is_back(context, settings=settings)
    except Exception as error:  # noqa: BLE001 - the run's own end is what counts
        log.warning(
            "Whether something is to be told can't be found out: %s",
            error if isinstance(error, SyncError) else describe_unforeseen(error),
        )
        if isinstance(error, SyncError):
            tell_store_is_lost(error, context, settings=settings)


def tell_of_books(context: Mapping[str, Any], *, settings: Settings) -> None:
    """Tell what the books of all runs say. Raises `SyncError` where they can't be asked."""
    from opportunity_sync.pipeline.telling.metrics import metrics_of_alerts, metrics_of_well
    from opportunity_sync.pipeline.telling.telling_alerts import tell_alerts
    from sync_run_connections import books

    def tell(change: AlertChange) -> bool:
        send_metrics(metrics_of_well(change.well))
        return send(change, context, settings=settings)

    with books(settings) as engine:
        send_metrics(metrics_of_alerts(tell_alerts(engine, tell, settings=settings)))


def tell_store_is_lost(error: SyncError, context: Mapping[str, Any], *, settings: Settings) -> None:
    """Tell once that the books can't be opened; what may heal only where no try is left."""
    from opportunity_sync.store import Alert, AlertChange

    memory = memory_of(context)
    if memory is None or memory.get(LOST):
        return
    if not isinstance(error, ConfigError) and not is_last_try(context):
        return
    alert = Alert(
        STORE_AWAY.name, "", f"The store can't be asked: {error.problem}", error.next_step
    )
    if send(AlertChange(wrong=(alert,), well=()), context, settings=settings):
        memory.set(LOST, asdict(alert))


def tell_store_is_back(context: Mapping[str, Any], *, settings: Settings) -> None:
    """Tell once that the books can be opened again, if it was told that they can't."""
    from opportunity_sync.store import Alert, AlertChange

    memory = memory_of(context)
    told = memory.get(LOST) if memory is not None else None
    if told:
        send(AlertChange(wrong=(), well=(Alert(**told),)), context, settings=settings)
        memory.delete(LOST)


def memory_of(context: Mapping[str, Any]) -> Any:
    """Airflow's state store of the store's asset; None outside of a task that names it."""
    states = context.get("asset_state_store")
    return None if states is None else states[MARKETO_STORE]


def send(
    change: AlertChange,
    context: Mapping[str, Any],
    *,
    settings: Settings,
    patience: float = PATIENCE,
) -> bool:
    """Send each alert by each way; returns whether all of them were taken.

    `patience`: seconds that a message may take. No way has more than three times as many.
    """
    told = [
        *(message_of(alert, "wrong") for alert in change.wrong),
        *(message_of(alert, "well again") for alert in change.well),
    ]
    ways = [way.strip() for way in settings.alerts.split(",")]
    # All are tried, also after one that failed.
    taken = [send_all_by(way, told, context, patience=patience) for way in ways]
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


def send_all_by(
    way: str, messages: Iterable[Mapping[str, str]], context: Mapping[str, Any], *, patience: float
) -> bool:
    """Send messages by one way, one after the other, as far as its time reaches."""
    until = time.monotonic() + MESSAGES * patience
    taken = []
    for message in messages:
        left = min(patience, until - time.monotonic())
        taken.append(left > 0 and send_by(way, message, context, patience=left))
        if left <= 0:
            log.warning(
                "The alert %s is not sent by %s, which takes too long. The next run tries again.",
                message["code"],
                way.partition(":")[0],
            )
    return all(taken)


def send_by(
    way: str, message: Mapping[str, str], context: Mapping[str, Any], *, patience: float
) -> bool:
    """Send a message by one way; a way that can't is said in the log."""
    kind, _, target = way.partition(":")
    error = error_in_time(partial(SENDERS[kind], target, message, context), patience=patience)
    if error is None:
        return True
    log.warning(
        "The alert %s can't be sent by %s: %s. The next run tries again.",
        message["code"],
        kind,
        error if isinstance(error, SyncError) else describe_unforeseen(error),
    )
    return False


def error_in_time(send_message: Callable[[], None], *, patience: float) -> BaseException | None:
    """Send a message in a thread that nobody waits for longer than `patience`; its error, if any.

    A notifier's own time-out bounds each wait for bytes: who sends one now and then is never late.
    """
    ends: Queue[BaseException | None] = Queue()

    def end() -> None:
        try:
            send_message()
        except BaseException as error:  # noqa: BLE001 - any notifier, any reason
            ends.put(error)
        else:
            ends.put(None)

    # A daemon, so that a process can end beside it; Airflow keeps in the context who logs.
    Thread(target=copy_context().run, args=(end,), daemon=True).start()
    try:
        return ends.get(timeout=patience)
    except Empty:
        return TimeoutError(f"no answer within {patience:g} seconds")


def write_log(_target: str, message: Mapping[str, str], _context: Mapping[str, Any]) -> None:
    """One line, as a warning or as good news."""
    level = logging.WARNING if message["state"] == "wrong" else logging.INFO
    log.log(level, "Alert: %s", message["text"])


def call_webhook(conn_id: str, message: Mapping[str, str], context: Mapping[str, Any]) -> None:
    """Post the message as JSON to the address of an HTTP connection, its path included."""
    notify("airflow.providers.http.notifications.http.HttpNotifier", context,
        http_conn_id=conn_id, endpoint="", json=dict(message),
        extra_options={"timeout": PATIENCE})  # fmt: skip


def send_email(address: str, message: Mapping[str, str], context: Mapping[str, Any]) -> None:
    """Send a mail through `smtp_default`, whose extra names the sender."""
    from html import escape

    notify("airflow.providers.smtp.notifications.smtp.SmtpNotifier", context,
        to=address, subject=f"{SUBJECT}: {message['code']} ({message['state']})",
        html_content=escape(message["text"]))  # fmt: skip


def send_slack(conn_id: str, message: Mapping[str, str], context: Mapping[str, Any]) -> None:
    """Post the text to a Slack webhook connection."""
    notify("airflow.providers.slack.notifications.slack_webhook.SlackWebhookNotifier", context,
        slack_webhook_conn_id=conn_id, text=message["text"], timeout=int(PATIENCE))  # fmt: skip


def notify(notifier: str, context: Mapping[str, Any], **given: Any) -> None:
    """Let a notifier of a provider send; unlike its call, `notify` lets an error be seen.

    Nothing is rendered as a template: a message is data.
    """
    module, _, name = notifier.rpartition(".")
    getattr(import_module(module), name)(**given).notify(context)


SENDERS = {"log": write_log, "webhook": call_webhook, "email": send_email, "slack": send_slack}

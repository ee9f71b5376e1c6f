"""What each way of starting a run asks for."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from opportunity_sync.errors import ConfigError
from sync_request import StartedRun, request, window

DAY = (datetime(2026, 11, 3, tzinfo=UTC), datetime(2026, 11, 4, tzinfo=UTC))
NOTHING = (None, None)
RUN_AFTER = datetime(2026, 11, 4, 15, 30, tzinfo=UTC)


FORM = {
    "mode": "continue",
    "window_start": None,
    "window_end": None,
    "accept_deletions": False,
    "accept_refusals": False,
    "retry_refused": False,
    "accept_filter_gone": False,
    "new_epoch": False,
    "new_organization": None,
}


def a_run(
    run_type: str = "manual", interval: tuple[datetime | None, datetime | None] = DAY, **form: Any
) -> StartedRun:
    """A run as Airflow started it; the form is the sync DAG's unless told otherwise."""
    params = FORM | form
    return StartedRun(
        "dag", "run", run_type, interval, params, RUN_AFTER, conf=form, offered=list(FORM)
    )


@pytest.mark.parametrize("run_type", ["scheduled", "manual", "asset_triggered"])
def test_the_sync_continues_whatever_its_interval(run_type: str) -> None:
    """A scheduled run heals gaps, so its tick is not its window; a cleared one does the same."""
    assert window(a_run(run_type)) == ("continue", NOTHING)


def test_a_run_without_a_logical_date_continues() -> None:
    """Airflow gives such a run no data interval at all."""
    assert window(a_run(interval=NOTHING)) == ("continue", NOTHING)


@pytest.mark.parametrize("mode", ["continue", "interval", "full", "range"])
def test_a_backfill_takes_exactly_its_interval(mode: str) -> None:
    """On either DAG, and whatever the form of the backfill says."""
    assert window(a_run("backfill", mode=mode)) == ("range", DAY)


def test_the_backfill_dag_takes_its_own_interval() -> None:
    """Its daily run is a window like any other."""
    assert window(a_run("scheduled", mode="interval")) == ("range", DAY)


def test_the_backfill_dag_without_a_logical_date_takes_the_last_whole_day() -> None:
    """Airflow gives a run that was triggered so no data interval."""
    assert window(a_run(interval=NOTHING, mode="interval")) == ("range", DAY)


def test_a_new_epoch_is_for_a_full_run_only() -> None:
    """It must begin with every row; a backfill's form does not count."""
    assert request(a_run(mode="full", new_epoch=True)).new_epoch
    assert not request(a_run("backfill", mode="full", new_epoch=True)).new_epoch
    with pytest.raises(ConfigError, match="must begin with every row"):
        request(a_run(mode="continue", new_epoch=True))


def test_a_store_is_handed_over_in_a_new_epoch_only() -> None:
    """The id may be pasted as Dynamics shows it; a backfill's form does not count."""
    form: dict[str, Any] = {
        "mode": "full",
        "new_epoch": True,
        "new_organization": " {0B5E8FAD-1A2B} ",
    }
    assert request(a_run(**form)).new_organization == "0b5e8fad-1a2b"
    assert request(a_run("backfill", **form)).new_organization is None
    with pytest.raises(ConfigError, match="so an epoch begins"):
        request(a_run(**form | {"new_epoch": False}))


def test_a_full_run_takes_everything() -> None:
    """The form's third choice has no window."""
    assert window(a_run(mode="full")) == ("full", NOTHING)


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("2026-11-03T00:00:00+00:00", "2026-11-04T00:00:00Z"),
        ("2026-11-03T01:00:00+01:00", "2026-11-03T19:00:00-05:00"),
        ("2026-11-03T00:00:00", "2026-11-04"),
    ],
    ids=["UTC", "offsets", "no offset"],
)
def test_a_range_is_taken_from_the_form(start: str, end: str) -> None:
    """Date-times may carry any offset; without one they mean UTC."""
    asked = a_run(interval=NOTHING, mode="range", window_start=start, window_end=end)

    assert window(asked) == ("range", DAY)


@pytest.mark.parametrize(
    "form",
    [
        {"mode": "range"},
        {"mode": "range", "window_start": "2026-11-03"},
        {"mode": "range", "window_start": "2026-11-04", "window_end": "2026-11-03"},
        {"mode": "continue", "window_start": "2026-11-03"},
        {"mode": "full", "window_end": "2026-11-03"},
        {"mode": "range", "window_start": "yesterday", "window_end": "today"},
    ],
    ids=["no ends", "no end", "backwards", "continue", "full", "no date-times"],
)
def test_a_form_that_contradicts_itself_is_refused(form: dict[str, Any]) -> None:
    """Dates that would be ignored, and ranges that are none, are errors with a next step."""
    with pytest.raises(ConfigError, match="trigger again"):
        window(a_run(interval=NOTHING, **form))


def test_the_reconciliations_form_has_no_window() -> None:
    """It compares everything, whatever the interval of its tick."""
    form = {"mode": "reconcile", "accept_deletions": False}

    asked = request(StartedRun("dag", "run", "scheduled", DAY, form, RUN_AFTER))

    assert (asked.mode, asked.window_start, asked.window_end) == ("reconcile", None, None)


@pytest.mark.parametrize("mode", ["continue", "full", "reconcile"])
@pytest.mark.parametrize("accepts", [True, False])
def test_deletions_are_accepted_where_the_form_says_so(mode: str, accepts: bool) -> None:
    """In each mode that can find rows gone."""
    assert request(a_run(mode=mode, accept_deletions=accepts)).accept_deletions is accepts


@pytest.mark.parametrize("mode", ["range", "interval"])
def test_a_range_that_accepts_deletions_is_refused(mode: str) -> None:
    """It shows none, so the entry would be ignored."""
    given: dict[str, Any] = {"window_start": "2026-11-03", "window_end": "2026-11-04"}

    with pytest.raises(ConfigError, match="trigger again without accept_deletions"):
        request(a_run(mode=mode, accept_deletions=True, **given))


def test_a_backfill_accepts_no_deletions() -> None:
    """Its form does not count, here as elsewhere."""
    assert request(a_run("backfill", accept_deletions=True)).accept_deletions is False


@pytest.mark.parametrize(
    ("switch", "mode"),
    [
        ("retry_refused", "continue"),
        ("accept_refusals", "continue"),
        ("accept_refusals", "full"),
        ("accept_refusals", "reconcile"),
        ("accept_refusals", "range"),
        ("accept_filter_gone", "full"),
    ],
)
def test_what_a_guard_refused_is_let_through_by_its_switch(switch: str, mode: str) -> None:
    """In each mode that can meet it; a backfill's form does not count."""
    window = {"window_start": "2026-11-03", "window_end": "2026-11-04"} if mode == "range" else {}
    ticked: dict[str, Any] = {switch: True}
    form: dict[str, Any] = {"mode": mode} | window | ticked
    asked = request(a_run(**form))
    others = {"accept_deletions", "accept_refusals", "accept_filter_gone", "retry_refused"} - {
        switch
    }

    assert getattr(asked, switch) is True
    assert not any(getattr(asked, other) for other in others)
    assert getattr(request(a_run("backfill", **ticked)), switch) is False


@pytest.mark.parametrize(
    ("entry", "nearest"),
    [
        ({"mod": "full"}, "'mod' (near: 'mode')"),
        ({"Mode": "full"}, "'Mode' (near: 'mode')"),
        ({"accept_deletion": True}, "'accept_deletion' (near: 'accept_deletions')"),
        ({"window-start": "2026-11-03"}, "'window-start' (near: 'window_start')"),
        ({"note": "by hand"}, "'note'"),
        ({"": 1}, "''"),
    ],
)
@pytest.mark.parametrize("run_type", ["manual", "backfill", "operator_triggered"])
def test_an_entry_that_the_form_does_not_have_is_refused(
    entry: dict[str, Any], nearest: str, run_type: str
) -> None:
    """Airflow lets it through: a misspelt `mode` would be a run that continues."""
    with pytest.raises(ConfigError, match="the form of dag does not have") as raised:
        request(a_run(run_type, **entry))

    assert f"{nearest}. Next step: trigger again; the form has mode," in str(raised.value)


def test_a_form_that_airflow_ignores_is_refused() -> None:
    """With `dag_run_conf_overrides_params` off, Airflow passes on the defaults in its place."""
    ignored = StartedRun(
        "dag", "run", "manual", DAY, FORM, RUN_AFTER, conf={"mode": "full"}, offered=list(FORM)
    )

    with pytest.raises(ConfigError, match="does not pass on what the form says: mode"):
        request(ignored)


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("2030-01-01", "2030-02-01"),
        ("2026-11-04T15:30:00", "2026-11-04T16:00:00"),
        ("2026-11-05T00:00:00+01:00", "9998-12-31"),
    ],
)
def test_a_window_in_the_future_is_refused(start: str, end: str) -> None:
    """It would be green with no rows; now is when the run was begun."""
    with pytest.raises(ConfigError, match="begins in the future"):
        request(a_run(mode="range", window_start=start, window_end=end))


def test_an_interval_in_the_future_is_refused() -> None:
    """A logical date in the future gives one, and so would a backfill."""
    later = (datetime(2030, 1, 1, tzinfo=UTC), datetime(2030, 1, 2, tzinfo=UTC))

    for run_type in ("manual", "backfill"):
        with pytest.raises(ConfigError, match="the run's data interval go from 2030-01-01"):
            request(a_run(run_type, later, mode="interval"))


def test_a_window_that_has_begun_and_not_ended_is_warned_of(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What comes after now is not in it."""
    asked = request(a_run(mode="range", window_start="2026-11-03", window_end="2027-01-01"))

    assert asked.window_end == datetime(2027, 1, 1, tzinfo=UTC)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "ends in the future (2027-01-01" in caplog.text


@pytest.mark.parametrize("end", ["window_start", "window_end"])
@pytest.mark.parametrize(
    "text",
    [
        "0001-01-01T00:00:00Z",
        "0001-01-01T00:00:00+01:00",
        "1752-12-31T23:59:59Z",
        "9999-12-31T23:59:59Z",
        "9999-12-31T23:59:59-01:00",
    ],
)
def test_a_time_at_an_end_of_the_calendar_is_refused(end: str, text: str) -> None:
    """Dataverse has no such times, and with an offset they are not even in the calendar."""
    given: dict[str, Any] = {"window_start": "2026-11-03", "window_end": "2026-11-04", end: text}

    with pytest.raises(ConfigError, match=f"The form's {end}, .*, is at an end of the calendar"):
        request(a_run(mode="range", **given))


def test_a_backfill_says_that_its_form_has_no_say(caplog: pytest.LogCaptureFixture) -> None:
    """Whoever chose `full` there gets the interval, and reads why."""
    assert window(a_run("backfill", mode="full")) == ("range", DAY)
    assert "mode 'full', but a backfill takes exactly its data interval" in caplog.text


QUICK_SYNC_FORM: dict[str, Any] = {
    "fields": [],
    "range_of": "modified",
    "window_start": None,
    "window_end": None,
    "accept_refusals": False,
}


def a_quick_sync(run_type: str = "manual", **form: Any) -> StartedRun:
    """A run of the quick sync as Airflow started it."""
    return StartedRun(
        "dynamics_quick_sync",
        "run",
        run_type,
        NOTHING,
        QUICK_SYNC_FORM | form,
        RUN_AFTER,
        conf=form,
        offered=list(QUICK_SYNC_FORM),
    )


def test_a_quick_sync_that_starts_by_itself_fills_all_that_waits() -> None:
    """Nobody has filled its form: no field is named, and all records are meant."""
    asked = request(a_quick_sync("asset_triggered"))

    assert (asked.mode, asked.fields) == ("fill", ())
    assert (asked.window_start, asked.window_end) == NOTHING


@pytest.mark.parametrize(
    "given",
    [
        ["contact.region", "account.industry"],
        "contact.region\naccount.industry\n",
        [" contact.region ", "", "account.industry", "contact.region"],
        ["contact.region, account.industry"],
    ],
    ids=["list", "lines", "blanks and twice", "commas"],
)
def test_fields_are_taken_as_a_person_writes_them(given: Any) -> None:
    """One a line as the form asks, and in the ways that people write lists otherwise."""
    assert request(a_quick_sync(fields=given)).fields == ("contact.region", "account.industry")


@pytest.mark.parametrize("nothing", [None, [], "", [" "]])
def test_no_field_means_all_that_wait(nothing: Any) -> None:
    """An emptied box is an empty list, null or blanks, as the form's editor leaves it."""
    assert request(a_quick_sync(fields=nothing)).fields == ()


@pytest.mark.parametrize("of", ["created", "modified"])
def test_a_quick_sync_takes_records_of_a_range(of: str) -> None:
    """Both times, and what they are compared with."""
    form = {"range_of": of, "window_start": "2026-11-03", "window_end": "2026-11-04"}
    asked = request(a_quick_sync(**form))

    assert (asked.ranges_by, asked.window_start, asked.window_end) == (of, *DAY)


@pytest.mark.parametrize(
    ("window", "fault"),
    [
        (("2026-11-03", None), "go from 2026-11-03T00:00:00+00:00 to nothing"),
        ((None, "2026-11-03"), "go from nothing to 2026-11-03T00:00:00+00:00"),
        (("2026-11-04", "2026-11-03"), "needs a start before its end"),
        (("2030-01-01", "2030-01-02"), "begins in the future"),
        (("last week", "2026-11-04"), "The form's window_start, 'last week', is no date-time."),
    ],
    ids=["no end", "no start", "backwards", "future", "no time"],
)
def test_a_range_that_a_quick_sync_does_not_understand_is_refused(
    window: tuple[str | None, str | None], fault: str
) -> None:
    """Half a range is no wish for all records; the next step speaks of this form, not of modes."""
    start, end = window
    with pytest.raises(ConfigError) as raised:
        request(a_quick_sync(window_start=start, window_end=end))

    assert fault in raised.value.problem
    assert "with both times, such as 2026-11-03T00:00:00Z, or with neither" in str(raised.value)
    assert "mode" not in str(raised.value)


def test_everything_that_is_wrong_with_a_quick_sync_is_named_at_once() -> None:
    """Whoever mends the first fault shall not find the second one by the next failure."""
    form: dict[str, Any] = {
        "fields": ["region", "contacts.region", "contact.region", "lead.name"],
        "window_start": "yesterday",
        "window_end": "now",
    }
    with pytest.raises(ConfigError) as raised:
        request(a_quick_sync(**form))

    assert raised.value.problem == (
        "The quick sync can't do what its form says. 'region' is not written as table.field. "
        "'contacts.region' is of no table that is synced (near: 'contact'). "
        "'lead.name' is of no table that is synced. "
        "The form's window_start, 'yesterday', is no date-time. "
        "The form's window_end, 'now', is no date-time."
    )


def test_a_quick_sync_has_no_mode() -> None:
    """Whoever takes its form for the other DAGs' is told what this one has."""
    with pytest.raises(ConfigError, match="the form has fields, range_of, window_start, window_en"):
        request(a_quick_sync(mode="full"))


def test_a_quick_sync_goes_on_without_many_records_if_told_to() -> None:
    """By the same switch as other runs, and only by it."""
    assert request(a_quick_sync(accept_refusals=True)).accept_refusals
    assert not request(a_quick_sync()).accept_refusals

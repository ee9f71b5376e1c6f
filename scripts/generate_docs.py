"""Write the reference pages from the code, so that they can't say anything else than it does.

`make docs` writes them, `make check` calls this with `--check`: it changes nothing, and shows
what would change when a setting, a field or a column was added without its page.
"""

from __future__ import annotations

import argparse
import difflib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from annotated_types import Ge, Gt, Le

from codes_page import codes_page
from metrics_page import metrics_page
from opportunity_sync.settings import PREFIX, Settings
from opportunity_sync_provider import FIELDS, FORM
from page_tables import NOTICE, code, table
from store_page import store_page

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pydantic.fields import FieldInfo

PROJECT = Path(__file__).resolve().parents[1]

SETTINGS_INTRODUCTION = """
Environment variables of Airflow's workers, triggerer and API server, and of whatever else runs
tasks. A variable that begins with `OPPORTUNITY_SYNC_` and is not listed here, or whose value does
not fit, is a `ConfigError` that names it; an empty one counts as not set.
"""

CONNECTION_INTRODUCTION = """
Extras of the connection `dynamics_default`, as JSON or in Airflow's connection form; an unknown one
is a `ConfigError`. The README shows both connections whole.
"""


def main() -> int:
    """Write the pages, or with `--check` show how they differ and fail."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing, fail on a difference")
    options = parser.parse_args()
    if options.check:
        return check(PAGES)
    for name, made in PAGES.items():
        (PROJECT / name).write_text(made(), encoding="utf-8")
    return 0


def check(pages: Mapping[str, Callable[[], str]]) -> int:
    """Print the difference of every page that is behind; return the exit code."""
    behind = False
    for name, made in pages.items():
        path = PROJECT / name
        written = path.read_text(encoding="utf-8") if path.exists() else ""
        for line in difflib.unified_diff(
            written.splitlines(), made().splitlines(), name, "what the code says", lineterm="", n=1
        ):
            behind = True
            print(line)
    if behind:
        print("The pages above are behind the code: run `make docs` and commit them.")
    return int(behind)


def settings_page() -> str:
    """Every setting, then every extra of the connection to Dynamics."""
    settings = [
        (code(f"{PREFIX}{name.upper()}"), value_of(field), default_of(field), field.description)
        for name, field in Settings.model_fields.items()
    ]
    extras = [(code(name), *extra_cells(extra)) for name, extra in FIELDS.items()]
    renamed = ", ".join(f"`{name}` is the {label}" for name, label in FORM["relabeling"].items())
    return "\n".join(
        [
            "# Settings",
            NOTICE,
            SETTINGS_INTRODUCTION,
            *table(("variable", "value", "default", "what it is"), settings),
            "\n## The connection to Dynamics",
            CONNECTION_INTRODUCTION,
            *table(("extra", "in the form", "value", "what it is"), extras),
            f"\nOf the connection's own fields {renamed}.\n",
        ]
    )


def value_of(field: FieldInfo) -> str:
    """What kind of value a setting takes, within which bounds."""
    kinds = {
        "bool": "true or false",
        "int": "whole number",
        "float": "number",
        "str": "text",
        "Path": "folder",
    }
    kind = next(words for name, words in kinds.items() if name in str(field.annotation))
    bounds = [bound for limit in field.metadata if (bound := bound_in_words(limit))]
    return ", ".join([kind, *bounds])


def bound_in_words(limit: object) -> str | None:
    """One bound of a value in words."""
    match limit:
        case Ge(ge=least):
            return f"{least} or more"
        case Gt(gt=bound):
            return f"more than {bound}"
        case Le(le=most):
            return f"{most} at most"
        case _:
            return None


def default_of(field: FieldInfo) -> str:
    """The default as a person would write it."""
    if isinstance(field.default, bool):
        return code(str(field.default).lower())
    if field.default in {None, ""}:
        return "empty"
    return code(field.default if isinstance(field.default, str) else f"{field.default:g}")


def extra_cells(extra: Mapping[str, Any]) -> tuple[str, str, str]:
    """Label, value and description of one extra."""
    schema = extra["schema"]
    if "enum" in schema:
        options = [f"{code(name)}{' *' * (name == schema['default'])}" for name in schema["enum"]]
        value = f"{', '.join(options)} (* default)"
    elif schema["type"] == "boolean":
        value = f"true or false, default {str(schema['default']).lower()}"
    else:
        value = "text, secret" if schema.get("format") == "password" else "text"
    return extra["label"], value, extra["description"]


PAGES: dict[str, Callable[[], str]] = {
    "docs/codes.md": codes_page,
    "docs/metrics.md": metrics_page,
    "docs/settings.md": settings_page,
    "docs/store.md": store_page,
}

if __name__ == "__main__":
    sys.exit(main())

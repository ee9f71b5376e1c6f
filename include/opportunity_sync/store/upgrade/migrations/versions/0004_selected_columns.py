"""Columns that a user selects: what the pipeline made, offered links, selections of the last hour.

The columns of the default selection that a store has already were made by the pipeline too, and are
listed as such. From now on no script makes or changes a selected column.

Revision ID: 0004
Revises: 0003
"""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

from opportunity_sync.store.schema.types import Identifier

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

# Of each table: column, and the field, Dataverse column and kind that it is of.
_MADE = {
    "account": {
        "company": ("company", "name", "text"),
        "account_number": ("account_number", "accountnumber", "text"),
        "billing_address": ("billing_address", "address1_line1", "text"),
        "billing_address_2": ("billing_address_2", "address1_line2", "text"),
        "billing_address_3": ("billing_address_3", "address1_line3", "text"),
        "billing_city": ("billing_city", "address1_city", "text"),
        "billing_country": ("billing_country", "address1_country", "text"),
        "billing_postal_code": ("billing_postal_code", "address1_postalcode", "text"),
        "main_phone": ("main_phone", "telephone1", "text"),
        "business_type_code": ("business_type", "businesstypecode", "choice"),
        "business_type_label": ("business_type", "businesstypecode", "choice"),
        "company_status_code": ("company_status", "statecode", "choice"),
        "company_status_label": ("company_status", "statecode", "choice"),
        "annual_revenue": ("annual_revenue", "revenue", "money"),
        "company_notes": ("company_notes", "description", "text"),
        "industry_code": ("industry", "industrycode", "choice"),
        "industry_label": ("industry", "industrycode", "choice"),
        "sic_code": ("sic_code", "sic", "text"),
        "website": ("website", "websiteurl", "text"),
        "num_employees": ("num_employees", "numberofemployees", "integer"),
        "currency_id": ("currency", "transactioncurrencyid", "lookup"),
    },
    "contact": {
        "salutation": ("salutation", "salutation", "text"),
        "first_name": ("first_name", "firstname", "text"),
        "middle_name": ("middle_name", "middlename", "text"),
        "last_name": ("last_name", "lastname", "text"),
        "email": ("email", "emailaddress1", "text"),
        "job_title": ("job_title", "jobtitle", "text"),
        "phone": ("phone", "telephone1", "text"),
        "mobile_phone": ("mobile_phone", "mobilephone", "text"),
        "home_phone": ("home_phone", "telephone2", "text"),
        "address": ("address", "address1_line1", "text"),
        "address_2": ("address_2", "address1_line2", "text"),
        "address_3": ("address_3", "address1_line3", "text"),
        "city": ("city", "address1_city", "text"),
        "state": ("state", "address1_stateorprovince", "text"),
        "country": ("country", "address1_country", "text"),
        "postal_code": ("postal_code", "address1_postalcode", "text"),
        "person_status_code": ("person_status", "statecode", "choice"),
        "person_status_label": ("person_status", "statecode", "choice"),
        "status_reason_code": ("status_reason", "statuscode", "choice"),
        "status_reason_label": ("status_reason", "statuscode", "choice"),
        "do_not_call": ("do_not_call", "donotphone", "boolean"),
        "unsubscribed": ("unsubscribed", "donotbulkemail", "boolean"),
        "do_not_email": ("do_not_email", "donotemail", "boolean"),
        "do_not_fax": ("do_not_fax", "donotfax", "boolean"),
        "do_not_send_marketing_material": (
            "do_not_send_marketing_material",
            "donotsendmm",
            "boolean",
        ),
        "preferred_method_of_contact_code": (
            "preferred_method_of_contact",
            "preferredcontactmethodcode",
            "choice",
        ),
        "preferred_method_of_contact_label": (
            "preferred_method_of_contact",
            "preferredcontactmethodcode",
            "choice",
        ),
        "person_notes": ("person_notes", "description", "text"),
        "mkt_leadscore": ("mkt_leadscore", "mkt_leadscore", "integer"),
        "mkt_priority": ("mkt_priority", "mkt_priority", "integer"),
        "mkt_urgency": ("mkt_urgency", "mkt_urgency", "integer"),
        "mkt_relativescore": ("mkt_relativescore", "mkt_relativescore", "integer"),
        "mkt_lastinterestingmomentdate": (
            "mkt_lastinterestingmomentdate",
            "mkt_lastinterestingmomentdate",
            "instant",
        ),
        "mkt_lastinterestingmomenttype": (
            "mkt_lastinterestingmomenttype",
            "mkt_lastinterestingmomenttype",
            "text",
        ),
        "mkt_leadinterestingmomentsource": (
            "mkt_leadinterestingmomentsource",
            "mkt_leadinterestingmomentsource",
            "text",
        ),
        "mkt_lastinterestingmomentdesc": (
            "mkt_lastinterestingmomentdesc",
            "mkt_lastinterestingmomentdesc",
            "text",
        ),
    },
    "opportunity": {
        "name": ("name", "name", "text"),
        "description": ("description", "description", "text"),
        "close_probability": ("close_probability", "closeprobability", "integer"),
        "stage_code": ("stage", "statecode", "choice"),
        "stage_label": ("stage", "statecode", "choice"),
        "actual_close_date": ("actual_close_date", "actualclosedate", "date"),
        "estimated_value": ("estimated_value", "estimatedvalue", "money"),
        "currency_id": ("currency", "transactioncurrencyid", "lookup"),
    },
}
_OF_STATE = ("offered_link", "offered_columns", "fill_begun")


def upgrade() -> None:
    """Make the tables, and list the columns that are there."""
    column = op.create_table(
        "store_column",
        sa.Column("entity", Identifier, nullable=False),
        sa.Column("column_name", Identifier, nullable=False),
        sa.Column("field", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("value_kind", sa.Text(), nullable=False),
        sa.Column("is_wanted", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.PrimaryKeyConstraint("entity", "column_name", name="pk_store_column"),
    )
    op.bulk_insert(column, [row for table in _MADE for row in _column_rows(table)])
    op.drop_column("sync_state", "wanted")
    for name in _OF_STATE:
        op.add_column("sync_state", sa.Column(name, sa.Text()))
    op.add_column("sync_state", sa.Column("offered_at", sa.BigInteger()))
    op.add_column("sync_store", sa.Column("selections", sa.Text()))


def downgrade() -> None:
    """Forget what was selected; the columns stay."""
    for name in (*_OF_STATE, "offered_at"):
        op.drop_column("sync_state", name)
    op.add_column("sync_state", sa.Column("wanted", sa.Text()))
    op.drop_column("sync_store", "selections")
    op.drop_table("store_column")


def _column_rows(table: str) -> list[dict[str, object]]:
    """The rows of `store_column` for a table that is there."""
    connection, known = op.get_bind(), _MADE[table]
    state = sa.table("sync_state", sa.column("entity"), sa.column("wanted"))
    noted = connection.scalar(sa.select(state.c.wanted).where(state.c.entity == table))
    wanted = json.loads(noted) if noted else []
    names = [column["name"] for column in sa.inspect(connection).get_columns(table)]
    return [
        {
            "entity": table,
            "column_name": name,
            "field": field,
            "source": source,
            "value_kind": kind,
            "is_wanted": field in wanted,
        }
        for name in names
        if name in known
        for field, source, kind in (known[name],)
    ]

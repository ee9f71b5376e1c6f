"""Dynamics 365 opportunities to the Marketo store: what the Airflow tasks do, importable without Airflow."""

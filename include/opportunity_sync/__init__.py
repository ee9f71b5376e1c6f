"""Dynamics 365 opportunities to the Marketo store: what the tasks do, free of Airflow."""

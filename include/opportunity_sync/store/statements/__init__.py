"""What the writers of rows share: temporary tables, the upsert, what a change is."""

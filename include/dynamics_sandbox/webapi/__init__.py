"""What the Web API answers: tables, change feeds, metadata, functions and batches."""

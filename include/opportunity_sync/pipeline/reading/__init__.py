"""What a run reads of each table: from which link or window on, and what was read whole."""

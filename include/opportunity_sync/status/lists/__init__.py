"""Long lists, page by page: records, associations, opportunities by name, runs, events."""

"""Tables and columns as data: what Dataverse has, and what customers add."""

"""How a store gets its tables and columns: by scripts what always stands, by the model the rest."""

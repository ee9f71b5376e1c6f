"""How a store gets its tables and columns: scripts make what always stands, the model the rest."""

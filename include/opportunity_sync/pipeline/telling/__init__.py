"""What people are told: how a run went, and what is wrong with the sync as a whole."""

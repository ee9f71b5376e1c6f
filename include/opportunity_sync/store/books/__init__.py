"""What the store keeps of runs and for runs: state, records of runs, refused and owed rows."""

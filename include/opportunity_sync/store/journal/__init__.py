"""The journal of what happened: runs, their tasks, counts and lags, events, checks, alerts."""

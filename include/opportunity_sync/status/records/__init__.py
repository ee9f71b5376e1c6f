"""Of one record: its name, its place in Dynamics, who it is after merges, what gives its roles."""

"""From staged rows and stored facts to the associations of everything in reach."""

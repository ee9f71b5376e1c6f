"""From staged rows and the store to the associations of everything in reach."""

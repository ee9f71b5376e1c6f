"""What the organisation lets us read: columns, labels, time zones, privileges; one plan of all."""

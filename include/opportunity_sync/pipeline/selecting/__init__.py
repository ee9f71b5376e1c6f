"""What the user selects: the model of a run, and the fields that wait to be filled."""

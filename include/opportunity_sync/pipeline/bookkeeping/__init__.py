"""What a load writes beside the rows: its own record, what was refused, and where runs go on."""

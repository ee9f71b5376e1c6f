"""What a load writes beside the rows: its record, refused records, where the next run goes on."""

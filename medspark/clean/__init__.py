"""Raw tables to typed records: every row becomes a record, a quarantined row or a counted duplicate."""

"""What stands beside an item: what its author wrote before, its thread, and notes."""

"""Who holds what, for how long, and who is there to review."""

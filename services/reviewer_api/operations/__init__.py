"""What people ask other services to do: promote a bundle, go back to the one before, count what a policy changes."""

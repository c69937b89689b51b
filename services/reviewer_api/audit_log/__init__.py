"""Who did what: an append-only log, each entry of which holds the hash of the one before."""

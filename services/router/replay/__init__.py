"""Routing what was routed before once more: an excerpt of the log, its scores, and what would change."""

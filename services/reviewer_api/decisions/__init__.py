"""Decisions: every decision on every piece of content, to read."""

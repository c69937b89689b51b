"""Builds the web console."""

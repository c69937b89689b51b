"""Signals that the router asks other classifiers for."""

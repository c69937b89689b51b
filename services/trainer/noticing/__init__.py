"""Notices, sooner than audits can, that people find more harm than the model expects. It warns; it decides nothing."""

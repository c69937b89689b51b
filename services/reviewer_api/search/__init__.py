"""Find whatever was sent to review."""

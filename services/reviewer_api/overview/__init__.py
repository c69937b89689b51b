"""What happens now, and over the last hours: live counts and time series."""

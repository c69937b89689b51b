"""Who may send content: the API keys that the reviewer API publishes."""

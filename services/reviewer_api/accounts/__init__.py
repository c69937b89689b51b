"""Who signs in: accounts, sessions, one-time links, and the API keys that are managed over HTTP."""

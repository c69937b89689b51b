"""Routes past content again, under another policy or bundle. Writes, publishes and creates nothing."""

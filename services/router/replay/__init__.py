"""Routes past content once more, under another policy or bundle. Writes, publishes and creates nothing."""

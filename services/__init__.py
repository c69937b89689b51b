"""Second Look: a moderation decision for every piece of user content."""

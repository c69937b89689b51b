"""The feed: every decision in the order in which it was published here, for upstream services to follow."""

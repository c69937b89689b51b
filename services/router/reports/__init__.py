"""Reports: what users say of content, how much their word weighs, and when a person looks again."""

"""Which revision of which content is meant, and where it stands: the rules that order of arrival does not change."""

"""Reports: what users say of content, as those see it who judge it, and which decisions answer it."""

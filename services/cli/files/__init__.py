"""Files that people bring and take: rows, content, judgements, decisions, and how rows reach the router."""

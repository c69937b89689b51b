"""Files that people import and export: rows, content, judgements and decisions, and the client of the router."""

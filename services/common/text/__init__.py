"""What can be done with a text without a model: clean it, unmask it, cut it, tell its script and language."""

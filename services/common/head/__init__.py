"""The head of a model: what it weighs, how much, and how sure that makes it."""

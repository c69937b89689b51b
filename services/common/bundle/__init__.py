"""The bundle: how it is stored, what it holds, and what its sides decide."""

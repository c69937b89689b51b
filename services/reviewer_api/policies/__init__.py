"""Policies: publish them, read them, know the one in force."""

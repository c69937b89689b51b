"""Signatures of the records that put a policy or a bundle in force, and what keeps those records right."""

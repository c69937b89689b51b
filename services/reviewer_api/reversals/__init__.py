"""A published decision is superseded by a person who gives a reason."""

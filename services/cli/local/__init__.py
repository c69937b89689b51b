"""Everything on one machine: child processes, an embedded PostgreSQL, the demo, and what `doctor` checks."""

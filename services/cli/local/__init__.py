"""Second Look on one machine: child processes, an embedded PostgreSQL, the demo, and the checks of `doctor`."""

"""Second Look under faults: real processes over a real PostgreSQL and Kafka, continuous load, and a checker of what
happened. `python -m tests.faults` runs every scenario; see `faults.py` for what goes wrong and `history.py` for what
must hold all the same."""

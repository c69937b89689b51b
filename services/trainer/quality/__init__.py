"""How good decisions, labels and reviewers are: read from the trainer's labels, published as `quality.measured`."""

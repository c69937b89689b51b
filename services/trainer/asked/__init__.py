"""Keeps what people are asked about, so that certificates know what waits."""

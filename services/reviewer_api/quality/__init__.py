"""Quality figures: keep the newest that the trainer published, and show them to leads."""

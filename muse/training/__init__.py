"""Training: everything that fits a table or a checkpoint."""

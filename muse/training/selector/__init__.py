"""Training of the selector."""

"""Metrics: scores to numbers, one question a file."""

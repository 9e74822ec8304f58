"""Metrics of music: numbers from pieces."""

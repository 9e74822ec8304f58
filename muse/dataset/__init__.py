"""Datasets: folders of music to shards."""

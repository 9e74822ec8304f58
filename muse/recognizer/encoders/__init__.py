"""Encoders of sound: samples to embeddings."""

"""Heads: from embeddings to emotion, music or not, course and listener."""

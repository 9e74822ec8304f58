"""Sentences and tags read into intents."""

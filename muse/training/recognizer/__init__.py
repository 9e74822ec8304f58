"""Training and evaluation of the recognizer."""

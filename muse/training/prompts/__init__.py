"""Training of what reads prompts."""

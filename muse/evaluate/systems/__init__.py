"""Systems that answer the same requests: people, the composer in several settings, EmoGen's mapping, n-grams."""

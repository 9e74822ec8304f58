"""Corpora: folders of labelled music, a file for each kind of source."""

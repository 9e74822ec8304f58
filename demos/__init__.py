"""Muse in a browser: tabs that ask :mod:`muse.tasks` for everything and show what it gives."""

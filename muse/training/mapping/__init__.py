"""Fitting the emotion mapping, and its report."""

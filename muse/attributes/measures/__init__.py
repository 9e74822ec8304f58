"""Measures: functions from a window of notes to the values of attributes, by topic.

What each gives is defined by its row of ``catalogue.csv``; docstrings add only how, where that is not plain.
"""

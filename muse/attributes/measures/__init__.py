"""Measures: functions from a window of notes to the values of attributes, by group."""

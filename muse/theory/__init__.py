"""Music theory: keys, chords, instruments."""

"""Features of sound: spectra, chords, windows."""

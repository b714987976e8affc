"""Plain transcriptions of RFC pseudo-code, for comparison with the code that is built to be fast."""

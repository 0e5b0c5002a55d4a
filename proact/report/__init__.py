"""The page that people send around: one file, no network, every text escaped."""

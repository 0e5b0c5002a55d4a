"""Statistics that a comparison rests on; they know numbers, not records."""

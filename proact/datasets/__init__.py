"""External data sets as states, one file each."""

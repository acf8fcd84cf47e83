"""Models that ship with the package, one folder each, and the functions that find, check and make them."""

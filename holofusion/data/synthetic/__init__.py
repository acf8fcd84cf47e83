"""Procedural objects: the data set that needs no download."""

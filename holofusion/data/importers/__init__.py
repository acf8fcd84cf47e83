"""Photographs of users, from COLMAP or transforms.json, converted to CO3D layout."""

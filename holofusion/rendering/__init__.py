"""Volume rendering and rasterisation: rays, fields, occupancy, views."""

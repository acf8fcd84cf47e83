"""Triangle meshes: extraction from densities, colours, files."""

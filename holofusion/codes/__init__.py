"""Compact codes of plain grids: block components, their decoder, and the space in which they are denoised."""

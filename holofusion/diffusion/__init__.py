"""Noising, denoising, and denoisers in closed form, for signals of any shape."""

"""Scores of rendered pictures and surfaces. It sees PNG files, cameras and meshes only, never a method."""

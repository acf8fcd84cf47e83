"""Generators: HoloFusion, its ablations, and the baselines."""

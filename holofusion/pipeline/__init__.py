"""What the workflow knows: steps, rows, names, settings files, provenance, progress. Never imports torch."""

"""Files, locks, signals, logs, randomness: helpers that know nothing of 3D."""

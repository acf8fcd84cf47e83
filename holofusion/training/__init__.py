"""The training loop, saved states, several processes, and what a training writes."""

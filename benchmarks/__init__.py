"""Speed and memory of the program, as ratios of two things measured in turn in one run: `python -m benchmarks`."""

"""One module per step of the pipeline, each with `run(job)`: from files to files."""

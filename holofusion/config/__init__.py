"""Settings: the classes of params.yaml's sections, the settings of each step, and their checks."""

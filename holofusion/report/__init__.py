"""The HTML report, its tables and figures, from a results folder."""

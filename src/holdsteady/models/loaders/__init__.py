"""Models from wherever they come: one file for each place."""

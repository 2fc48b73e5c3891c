"""Many files: what is to be done, what was done, and what goes on after an interruption."""

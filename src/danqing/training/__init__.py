"""The training loop, run folders, data and metrics that every recipe shares."""

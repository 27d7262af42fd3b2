"""One file for each method, readable from top to bottom. None imports another."""

"""Finished works: their content, where they came from, how they are stored. No tensors in this room."""

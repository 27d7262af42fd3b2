"""Judging one work: what it is, which rules it keeps, where it comes near to what was there before."""

"""Artwork to tensor and back."""

"""What is shipped: cards, weights, styles. Weights are loaded through here only."""

"""One file for each model that we train and ship."""

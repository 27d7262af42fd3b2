"""One file for each thing a person can ask for: the request and how it is met."""

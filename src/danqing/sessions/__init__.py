"""What outlives one request: the queue of jobs, rounds of candidates, what a person has come to like."""

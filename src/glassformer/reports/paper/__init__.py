"""A run or a study as a paper of at most four pages, as PDF and as HTML."""

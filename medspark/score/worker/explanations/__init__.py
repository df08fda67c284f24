"""What of a case raises or lowers its risk: contributions to the logit, and what a clinician reads of each."""

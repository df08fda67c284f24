"""What scoring sees of a night's cases, beside what training saw: drift, estimates, outcomes, verdicts."""

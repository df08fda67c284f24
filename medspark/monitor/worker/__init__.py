"""What scoring workers count while they score: numpy alone."""

"""What tests share: made-up histories and tasks, whole roads, clusters and databases."""

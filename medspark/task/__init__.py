"""What one prediction is: the task file as closed and frozen models, read and checked. No Spark."""

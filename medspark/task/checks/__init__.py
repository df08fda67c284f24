"""Rules across the sections of a task: one function each, every problem at once."""

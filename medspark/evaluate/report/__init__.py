"""The model card: one HTML file."""

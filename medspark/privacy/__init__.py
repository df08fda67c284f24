"""What keeps patients and secrets out of what leaves."""

"""What a store's files are compared with, by workers."""

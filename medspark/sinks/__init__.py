"""Where results go beside the store."""

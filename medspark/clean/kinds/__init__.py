"""The kinds of column: how text becomes numbers, levels, times and codes."""

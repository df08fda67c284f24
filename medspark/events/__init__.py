"""Warehouse tables to events, by a source mapping."""

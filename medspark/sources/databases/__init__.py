"""Databases, folders of Delta tables and catalogs: one file for each."""

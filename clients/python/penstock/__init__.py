"""Penstock's Python client."""

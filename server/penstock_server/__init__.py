"""Penstock's server. The layers and what each does not know are told in ARCHITECTURE.md."""

"""Artefacts to Markdown and JSON."""

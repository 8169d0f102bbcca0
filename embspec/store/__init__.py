"""Bytes on disk: the live tree, objects, action records."""

"""What begins a project: it looks into a folder, and writes a spec of what is there."""

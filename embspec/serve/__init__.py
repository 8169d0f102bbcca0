"""What happens after a build."""

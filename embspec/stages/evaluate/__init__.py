"""Every system on the frozen queries."""

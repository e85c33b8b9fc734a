"""The interfaces of people."""

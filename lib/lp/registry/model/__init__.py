"""The Storm-backed implementations of people."""

"""The people who operate the system."""

"""The Storm-backed implementations of the interfaces of code imports."""

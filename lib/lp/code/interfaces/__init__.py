"""The interfaces of code imports, one module a concept."""

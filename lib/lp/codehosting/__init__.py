"""Where target repositories live."""

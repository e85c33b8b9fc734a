"""Services that know nothing of code imports."""

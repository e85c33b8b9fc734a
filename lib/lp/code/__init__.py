"""Code imports: what is imported, its jobs, and the machines that run them."""

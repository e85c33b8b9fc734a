"""The private XML-RPC instance: its root, and its faults."""

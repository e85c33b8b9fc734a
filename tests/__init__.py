"""The tests: a room for each kind, a module `test_*.py` for each subject."""

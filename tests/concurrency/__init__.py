"""Tests of what happens at once."""

"""Pure functions that decide: no database, no clock, no network."""

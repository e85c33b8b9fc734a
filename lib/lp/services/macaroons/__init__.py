"""Macaroons: tokens that say what their bearer may do."""

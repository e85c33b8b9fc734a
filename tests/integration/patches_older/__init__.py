"""What an older program knows of the patches beside this."""

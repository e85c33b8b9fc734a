"""Code imports: Git mirrors of other people's repositories, kept up to date."""

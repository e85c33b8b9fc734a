"""How Sphinx builds the manual."""

from importlib import metadata

project = "Code imports"
author = "The Code Imports developers"
copyright = "2026, The Code Imports developers"
release = metadata.version("codeimports")

# Pages are text first: they are run as tests, and read in a terminal too.
source_suffix = {".rst": "restructuredtext"}
exclude_patterns = ["_build"]
default_role = "literal"
# Examples without a marked language are Python where they can be read so.
highlight_language = "default"
nitpicky = True

html_theme = "alabaster"
html_theme_options = {"description": "Git mirrors of other people's repositories, kept up to date"}

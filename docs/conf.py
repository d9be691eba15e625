"""The settings of the documentation site; CONTRIBUTING.md has the command that builds it."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

from ppbench.versions import __version__

project = "ppbench"
author = "the ppbench developers"
copyright = author
version = release = __version__
html_title = f"ppbench {__version__}"

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "written_pages",
    "accessible",
]
exclude_patterns = ["_ext"]
html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_show_copyright = False
html_last_updated_fmt = None
html_theme_options = {"navigation_with_keys": True, "top_of_page_buttons": []}

# Links such as page.md#a-heading are GitHub's, and work on both.
myst_heading_anchors = 4
myst_enable_extensions = ["deflist"]  # only pages that are written while the site is built use it
# What GitHub takes for text is text here too: a line that begins with %, say, is no comment.
myst_disable_syntax = ["myst_line_comment", "myst_block_break", "myst_target", "myst_role"]
# Blocks without a language are commands and what they print, which no lexer should guess at.
highlight_language = "text"
copybutton_prompt_text = "$ "

# Docstrings have one backtick around code.
default_role = "code"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_member_order = "bysource"
python_maximum_signature_line_length = 88
napoleon_numpy_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True

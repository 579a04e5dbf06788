"""Sphinx configuration: ``make docs`` builds the documentation into ``docs/_build/html``."""

from __future__ import annotations

from djtasks import __version__

project = "djtasks"
author = "djtasks contributors"
copyright = "djtasks contributors"
version = release = __version__

extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
nitpicky = True

myst_heading_anchors = 3

html_theme = "furo"
html_title = f"djtasks {__version__}"

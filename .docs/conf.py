"""Sphinx: the API from the docstrings.  ``.ci/docs`` builds it into ``site/``."""

project = "jaxnn"
extensions = ["sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "furo"
html_title = "jaxnn"
autodoc_typehints = "description"
autodoc_member_order = "bysource"
napoleon_use_ivar = True

"""A run as one HTML page: data for it, and the page itself with its styles and scripts inside.

It reads traces and asks nothing of servers or terminals, so that every interface can show the same page.
"""

from moa_mcp.viewer.page import app_page, compared_page, page

__all__ = ["app_page", "compared_page", "page"]

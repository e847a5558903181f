"""Starts the server of an MCP bundle.

A host that was given no value for a setting may pass an empty text, or the placeholder as it is in the manifest; the
variable must then not be set.
"""

from __future__ import annotations

import os

from moa_mcp.__main__ import main

for _name, _value in [*os.environ.items()]:
    if not _value or _value.startswith("${user_config."):
        del os.environ[_name]

if __name__ == "__main__":
    main()

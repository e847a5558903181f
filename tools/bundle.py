"""What directories of MCP servers read: `python tools/bundle.py` writes it from pyproject.toml.

It writes packaging/server.json for the registry of MCP servers, and packaging/mcpb/manifest.json. With `--wheel FILE`,
it packs that wheel into `moa-mcp-VERSION.mcpb`, a bundle that MCP hosts install, in the wheel's folder or `--output`.
"""

from __future__ import annotations

import argparse
import json
import tomllib
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

ROOT = Path(__file__).parent.parent
BUNDLE = ROOT / "packaging" / "mcpb"
SERVER = ROOT / "packaging" / "server.json"
TITLE = "Mixture of Agents"
KEYS = {
    "OPENAI_API_KEY": ("OpenAI", "https://openai.com/policies/privacy-policy"),
    "ANTHROPIC_API_KEY": ("Anthropic", "https://www.anthropic.com/legal/privacy"),
    "GEMINI_API_KEY": ("Google Gemini", "https://policies.google.com/privacy"),
    "OPENROUTER_API_KEY": ("OpenRouter", "https://openrouter.ai/privacy"),
}
"""Keys that a user is asked for: the provider and its privacy policy. One of them is enough; others can be stored with
`moa-mcp keys set`."""
CONFIG = "MOA_MCP_CONFIG"
CONFIG_TEXT = "Your pipelines.toml. Leave it empty to use the pipelines of the package."


def project() -> dict[str, Any]:
    """Return the metadata of the project."""
    found: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    return found


def registry_name(about: dict[str, Any]) -> str:
    """Return the name in the registry of MCP servers; the README has it too, as a proof of ownership."""
    owner = about["urls"]["Source"].split("/")[-2]
    return f"io.github.{owner}/{about['name']}"


def server(about: dict[str, Any]) -> dict[str, Any]:
    """Return the entry in the registry of MCP servers."""
    keys = [
        {"name": name, "description": f"API key of {title}.", "isSecret": True} for name, (title, _) in KEYS.items()
    ]
    package = {
        "registryType": "pypi",
        "registryBaseUrl": "https://pypi.org",
        "identifier": about["name"],
        "version": about["version"],
        "runtimeHint": "uvx",
        "transport": {"type": "stdio"},
        "environmentVariables": [*keys, {"name": CONFIG, "description": CONFIG_TEXT, "format": "filepath"}],
    }
    return {
        "$schema": "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json",
        "name": registry_name(about),
        "title": TITLE,
        "description": about["description"],
        "version": about["version"],
        "repository": {"url": about["urls"]["Source"], "source": "github"},
        "packages": [package],
    }


def manifest(about: dict[str, Any]) -> dict[str, Any]:
    """Return the manifest of the bundle."""
    settings = {name.lower(): _key(title) for name, (title, _) in KEYS.items()}
    config = {"type": "file", "title": "Configuration", "description": CONFIG_TEXT, "required": False}
    environment = {name: f"${{user_config.{name.lower()}}}" for name in (*KEYS, CONFIG)}
    return {
        "manifest_version": "0.4",
        "name": about["name"],
        "display_name": TITLE,
        "version": about["version"],
        "description": about["description"],
        "author": about["authors"][0],
        "icon": "icon.png",
        "repository": {"type": "git", "url": about["urls"]["Source"]},
        "documentation": about["urls"]["Documentation"],
        "support": about["urls"]["Issues"],
        "license": about["license"],
        "keywords": about["keywords"],
        "server": {
            "type": "uv",
            "entry_point": "src/server.py",
            "mcp_config": {
                "command": "uv",
                "args": ["run", "--directory", "${__dirname}", "src/server.py"],
                "env": environment,
            },
        },
        "tools_generated": True,
        "prompts_generated": True,
        "privacy_policies": [policy for _, policy in KEYS.values()],
        "compatibility": {
            "platforms": ["darwin", "linux", "win32"],
            "runtimes": {"python": about["requires-python"]},
        },
        "user_config": settings | {CONFIG.lower(): config},
    }


def _key(title: str) -> dict[str, Any]:
    text = f"API key of {title}, stored by this application. One key of any provider is enough."
    return {"type": "string", "title": f"{title} API key", "description": text, "sensitive": True, "required": False}


def requirements(about: dict[str, Any], wheel: str) -> str:
    """Return the pyproject.toml of the bundle, which installs the wheel beside it."""
    return f"""[project]
name = "{about["name"]}-bundle"
version = "{about["version"]}"
requires-python = "{about["requires-python"]}"
dependencies = ["{about["name"]}"]

[tool.uv]
package = false

[tool.uv.sources]
{about["name"]} = {{ path = "{wheel}" }}
"""


def packed(about: dict[str, Any], wheel: Path, folder: Path) -> Path:
    """Write the bundle into the folder; the same wheel gives the same bytes."""
    if f"-{about['version']}-" not in wheel.name:
        raise SystemExit(f"{wheel.name} is not of version {about['version']}, which pyproject.toml has; build it anew")
    path = folder / f"{about['name']}-{about['version']}.mcpb"
    content = {
        "manifest.json": _json(manifest(about)).encode(),
        "pyproject.toml": requirements(about, wheel.name).encode(),
        **{name: (BUNDLE / name).read_bytes() for name in ("icon.png", "src/server.py")},
        wheel.name: wheel.read_bytes(),
    }
    with ZipFile(path, "w") as archive:
        for name, data in content.items():
            entry = ZipInfo(name)
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, data, ZIP_DEFLATED)
    return path


def _json(value: object) -> str:
    return f"{json.dumps(value, indent=2)}\n"


def main() -> None:
    """Write the files, and pack a wheel if one is given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wheel", type=Path, help="the wheel to pack")
    parser.add_argument("--output", type=Path, help="folder of the bundle")
    given = parser.parse_args()
    about = project()
    SERVER.write_text(_json(server(about)), "utf-8")
    (BUNDLE / "manifest.json").write_text(_json(manifest(about)), "utf-8")
    if given.wheel:
        print(packed(about, given.wheel, given.output or given.wheel.parent))


if __name__ == "__main__":
    main()

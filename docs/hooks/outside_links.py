"""Pages of the site that stand elsewhere in the repository, and links to them.

README.md is the start page. A file that a page links to, such as a module, an example or
benchmarks/README.md, becomes `source/PATH.md`; a link to anything else outside docs/ (folders,
records) keeps its text alone. In the repository itself all links stay plain relative ones.
"""

from __future__ import annotations

import os
import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files, InclusionLevel

ROOT = Path(__file__).parents[2]
_SHOWN = {".py": "python", ".toml": "toml", ".yaml": "yaml", ".md": ""}
_LINK = re.compile(r"(\[(?:[^\[\]]|\[[^\]]*\])*\])\(([^)\s]+)\)")
_MARK = re.compile(r"^<!-- test.*?-->\n", re.MULTILINE | re.DOTALL)
_UNSEARCHED = "---\nsearch: {exclude: true}\n---\n"
_ALWAYS = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "benchmarks/README.md")


def on_files(files: Files, config: Any) -> Files:
    """Add a page for every file outside docs/ that a page links to."""
    waiting = [*_ALWAYS, *(f"docs/{file.src_uri}" for file in files.documentation_pages())]
    seen = set(waiting)
    while waiting:
        path = waiting.pop()
        if not path.startswith("docs/"):
            in_nav = InclusionLevel.INCLUDED if path in _ALWAYS else InclusionLevel.NOT_IN_NAV
            page = File.generated(config, _uri(path), content=_content(path), inclusion=in_nav)
            files.append(page)
        if not path.endswith(".md") or not (ROOT / path).is_file():
            continue
        targets = {_target(path, link) for _, link in _LINK.findall((ROOT / path).read_text())}
        new = {t for t in targets if t and not t.startswith("docs/") and _is_shown(t)} - seen
        seen |= new
        waiting += sorted(new)
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Turn links as they hold in the repository into links of the site."""
    origin = _origin(page.file.src_uri)

    def site_link(match: re.Match[str]) -> str:
        text, link = match.groups()
        target = _target(origin, link)
        if target is None:
            return match[0]
        if not target.startswith("docs/") and not _is_shown(target):
            return text[1:-1]
        _, mark, anchor = link.partition("#")
        place = posixpath.relpath(_uri(target), posixpath.dirname(page.file.src_uri) or ".")
        return f"{text}({place}{mark}{anchor})"

    return _LINK.sub(site_link, _MARK.sub("", markdown))


def _target(origin: str, link: str) -> str | None:
    """The path in the repository that a link of the file `origin` means; None: not a file."""
    path = link.partition("#")[0]
    if not path or re.match(r"[a-z]+:", link):
        return None
    return posixpath.normpath(posixpath.join(posixpath.dirname(origin), path))


def _is_shown(path: str) -> bool:
    return Path(path).suffix in _SHOWN and (ROOT / path).is_file()


def _uri(path: str) -> str:
    """Where the site has a file of the repository."""
    if path == "README.md":
        return "index.md"
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    return f"source/{path}" if path.endswith(".md") else f"source/{path}.md"


def _origin(uri: str) -> str:
    """The file of the repository that a page of the site shows."""
    if uri == "index.md":
        return "README.md"
    if not uri.startswith("source/"):
        return f"docs/{uri}"
    path = uri.removeprefix("source/")
    return path if os.path.isfile(ROOT / path) else path.removesuffix(".md")


def _content(path: str) -> str:
    text = (ROOT / path).read_text()
    if path.endswith(".md"):
        return text
    return f"{_UNSEARCHED}# `{path}`\n\n````{_SHOWN[Path(path).suffix]}\n{text}````\n"

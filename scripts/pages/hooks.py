"""What mkdocs does beside its plugins: the API's document without what every route repeats, and its problems once.

With each problem of each route the page of the API would be 16 MB.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "openapi/openapi.json"
SHORTENED = ROOT / "build/openapi.json"
PAGE = "reference/api.md"
_SECOND_TITLE = re.compile(r"^# Memory-R1 .*$", re.MULTILINE)
_NOT_OURS = re.compile(r"^.*This example has been generated automatically.*$", re.MULTILINE)
"""Said under each of them; the page says it once."""


def on_pre_build(config: object) -> None:
    """Write the document that the page is made of."""
    SHORTENED.parent.mkdir(exist_ok=True)
    SHORTENED.write_text(json.dumps(shortened(_read())), encoding="utf-8")


def on_page_markdown(markdown: str, page: Any, config: object, files: object) -> str:
    """The page of the API gets the problems, and one title: its table of contents begins under that."""
    if page.file.src_uri != PAGE:
        return markdown
    plain = _SECOND_TITLE.sub("", _NOT_OURS.sub("", markdown)).replace(
        '??? note "Description"', '???+ note "Description"'
    )
    return f"{plain}\n{problems(_read())}\n"


def shortened(document: dict[str, Any]) -> dict[str, Any]:
    """Refusals as a line of the description, and no schema of them; a path in one group alone."""
    for operation, group in (
        (one, next(iter(path.values()))["tags"]) for path in document["paths"].values() for one in path.values()
    ):
        operation["tags"] = group
        refusals = sorted(code for code in operation["responses"] if int(code) >= 400)
        for code in refusals:
            del operation["responses"][code]
        if refusals:
            told = f"Refusals: {', '.join(refusals)}."
            operation["description"] = f"{operation.get('description', '')}\n\n{told}".strip()
    document["components"]["schemas"].pop("Problem", None)
    return document


def problems(document: dict[str, Any]) -> str:
    """Each type of problem, with its status."""
    types = document["components"]["schemas"]["Problem"]["properties"]["type"]["x-problem-types"]
    rows = [
        f"| `{url.rpartition('/')[2]}` | {told['status']} | {told['description']} |"
        for url, told in sorted(types.items(), key=lambda item: (item[1]["status"], item[0]))
    ]
    return "\n".join(["| type | status | |", "|---|---|---|", *rows])


def _read() -> dict[str, Any]:
    read: dict[str, Any] = json.loads(DOCUMENT.read_text(encoding="utf-8"))
    return read

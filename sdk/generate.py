"""Makes what is generated of both SDKs from openapi/openapi.json: `make sdks`."""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import unasync

SDK = Path(__file__).resolve().parent
DOCUMENT = SDK.parent / "openapi" / "openapi.json"
PYTHON, TYPESCRIPT = Path("python/src/memory_r1_client"), Path("typescript/src")
GENERATED = (
    PYTHON / "generated",
    PYTHON / "sync",
    PYTHON / "problems.py",
    TYPESCRIPT / "generated",
    TYPESCRIPT / "problems.ts",
)
"""What is made, under the folder of the SDKs."""
_MADE = "Made by sdk/generate.py from openapi/openapi.json; do not edit."
_TO_SYNC = {
    "AsyncMemoryR1": "MemoryR1",
    "AsyncBank": "Bank",
    "AsyncSender": "Sender",
    "AsyncClient": "Client",
    "AsyncRetrying": "Retrying",
    "asyncio": "sync",
    "aread": "read",
    "aclose": "close",
    "aiter_sse": "iter_sse",
    "set_async_httpx_client": "set_httpx_client",
    "get_async_httpx_client": "get_httpx_client",
    "asynchronous": "synchronous",
}


def generate(into: Path) -> None:
    """Make everything of `GENERATED` under a folder, in place of what is there."""
    document = _without_streams(json.loads(DOCUMENT.read_text()))
    for path in GENERATED:
        if (into / path).is_dir():
            shutil.rmtree(into / path)
        (into / path).parent.mkdir(parents=True, exist_ok=True)
    _typescript(document, into / TYPESCRIPT)
    types = document["components"]["schemas"]["Problem"]["properties"]["type"]["x-problem-types"]
    (into / PYTHON / "problems.py").write_text(_python_problems(types))
    (into / TYPESCRIPT / "problems.ts").write_text(_typescript_problems(types))
    _python(document, into / PYTHON)


def _python(document: dict[str, Any], package: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        reduced = Path(scratch, "openapi.json")
        reduced.write_text(json.dumps(_for_python(document)))
        _run(
            *("openapi-python-client", "generate", "--meta", "none", "--fail-on-warning", "--overwrite"),
            *("--config", str(SDK / "python/generator.yaml"), "--path", str(reduced)),
            *("--output-path", str(package / "generated")),
        )
    for module in (package / "generated" / "api").rglob("*.py"):
        # The generator's own type for a status that is not documented; with the client of this package it is raised.
        module.write_text(re.sub(r"^\) -> (.+) \| None:$", r") -> \1:", module.read_text(), flags=re.MULTILINE))
    _without_async(package)


def _without_streams(document: dict[str, Any]) -> dict[str, Any]:
    """The document without server-sent events, of which only the schemas are generated: whoever reads one response as
    a whole and as a stream takes an operation for either.
    """
    for path in document["paths"].values():
        for operation in path.values():
            for reply in operation["responses"].values():
                reply.get("content", {}).pop("text/event-stream", None)
                if reply.get("content") == {}:
                    del reply["content"]
    return document


def _for_python(document: dict[str, Any]) -> dict[str, Any]:
    """The document as the client sees it, which raises what is no success and takes files as files."""
    for path in document["paths"].values():
        for operation in path.values():
            successes = {status: reply for status, reply in operation["responses"].items() if status.startswith("2")}
            operation["responses"] = successes
            for one in (operation.get("requestBody", {}), *successes.values()):
                for kind, form in one.get("content", {}).items():
                    if kind == "application/x-ndjson":
                        form["schema"] = {"type": "string", "format": "binary"}
    return document


def _without_async(package: Path) -> None:
    """The client that waits in its thread: the other without `async` and `await`."""
    with tempfile.TemporaryDirectory() as scratch:
        source = Path(scratch, "aio")
        shutil.copytree(SDK / PYTHON / "aio", source, ignore=shutil.ignore_patterns("__pycache__", "__init__.py"))
        modules = sorted(source.glob("*.py"))
        for module in modules:
            module.write_text(module.read_text().replace("memory_r1_client.aio", "memory_r1_client.sync"))
        rule = unasync.Rule(f"{os.sep}aio{os.sep}", f"{os.sep}sync{os.sep}", additional_replacements=_TO_SYNC)
        unasync.unasync_files([str(module) for module in modules], [rule])
        made = Path(scratch, "sync")
        for module in made.glob("*.py"):
            text = module.read_text().replace(", Awaitable[P]]", ", P]").replace("Awaitable, ", "")
            text = text.replace("async with", "with").replace("Iterator, Iterator", "Iterator")
            module.write_text(re.sub(r'^"""(.+?)"""', rf'"""\1\n\n{_MADE}\n"""', text, count=1))
        (made / "__init__.py").write_text(f'"""The client that waits in its thread. {_MADE}"""\n')
        _run("ruff", "check", "--isolated", "--no-cache", "--quiet", "--fix", "--select=I,F", str(made))
        _run("ruff", "format", "--isolated", "--no-cache", "--quiet", "--line-length=120", str(made))
        shutil.copytree(made, package / "sync")


def _typescript(document: dict[str, Any], sources: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        reduced = Path(scratch, "openapi.json")
        reduced.write_text(json.dumps(document))
        _run(
            *("node_modules/.bin/openapi-ts", "-f", "openapi-ts.config.mjs"),
            *("-i", str(reduced), "-o", str((sources / "generated").resolve())),
            cwd=SDK / "typescript",
        )


def _python_problems(types: dict[str, dict[str, Any]]) -> str:
    lines = ['"""A class for each type of problem that the service answers with.', "", _MADE, '"""', ""]
    lines += ["from __future__ import annotations", "", "from memory_r1_client.errors import ProblemError", ""]
    for uri, about in _wider_first(types):
        wider = _class_of(about["wider"]) if "wider" in about else "ProblemError"
        lines += ["", f"class {_class_of(uri)}({wider}):", f'    """{about["status"]}: {about["description"]}"""', ""]
        lines += [f'    slug = "{_slug_of(uri)}"', ""]
    lines += ["", "PROBLEMS: dict[str, type[ProblemError]] = {"]
    lines += [f'    "{uri}": {_class_of(uri)},' for uri in types]
    return "\n".join([*lines, "}", '"""By the URI of the type."""', ""])


def _typescript_problems(types: dict[str, dict[str, Any]]) -> str:
    lines = ["// A class for each type of problem that the service answers with.", f"// {_MADE}", ""]
    lines += ["import { ProblemError } from './errors.js';", ""]
    for uri, about in _wider_first(types):
        wider = _class_of(about["wider"]) if "wider" in about else "ProblemError"
        lines += [f"/** {about['status']}: {about['description']} */"]
        lines += [f"export class {_class_of(uri)} extends {wider} {{}}", ""]
    lines += ["/** By the URI of the type. */", "export const PROBLEMS: Record<string, typeof ProblemError> = {"]
    lines += [f"  '{uri}': {_class_of(uri)}," for uri in types]
    return "\n".join([*lines, "};", ""])


def _wider_first(types: dict[str, dict[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
    """The types, each after the wider one that it is a kind of."""
    wider = {_slug_of(uri): about.get("wider") for uri, about in types.items()}

    def depth(slug: str | None) -> int:
        return 0 if slug is None else 1 + depth(wider[slug])

    return sorted(types.items(), key=lambda item: (depth(_slug_of(item[0])), item[0]))


def _slug_of(uri: str) -> str:
    return uri.rpartition("/")[2]


def _class_of(uri: str) -> str:
    return "".join(word.capitalize() for word in _slug_of(uri).split("-"))


def _run(*command: str, cwd: Path | None = None) -> None:
    # The tools beside this Python, and the node of the environment of the service.
    beside = [str(Path(sys.executable).parent), str(SDK.parent / ".venv" / "bin")]
    path = os.pathsep.join([*beside, os.environ.get("PATH", "")])
    program = shutil.which(command[0], path=path) if os.sep not in command[0] else command[0]
    if program is None:
        sys.exit(f"{command[0]} is not installed: run `make sdks`.")
    done = subprocess.run(
        [program, *command[1:]], cwd=cwd, env=os.environ | {"PATH": path}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--into", type=Path, default=SDK, help="another folder than that of the SDKs")
    generate(parser.parse_args().into)

"""Whether a command of the documentation can be: its options, targets, services, routes and bodies exist."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jsonschema_rs
from ruamel.yaml import YAML
from typer.main import get_command

from app.cli import cli
from training.cli import cli as training_cli

ROOT = Path(__file__).parents[2]
OTHERS = (
    "accelerate cat chmod cp createdb echo export mkdir npm openssl pg_dump pg_restore ray set source touch vllm"
).split()
"""Programs that are not ours, of which no more is checked than that bash can read the line."""
_COMPOSE = {"build", "down", "exec", "logs", "ps", "run", "stop", "up"}
_WITH_VALUE = {"--profile", "-f", "--file", "--scale"}


def check(words: Sequence[str]) -> None:
    """Raises `AssertionError`, or the parser's own error, for a command that cannot be."""
    program, rest = words[0], list(words[1:])
    if program == "memory-r1":
        _parsed(get_command(cli), program, rest)
    elif program == "memory-r1-train":
        _parsed(get_command(training_cli), program, rest)
    elif program == "make":
        _is_target(rest)
    elif program == "curl":
        _is_request(rest)
    elif program in ("python", "pip"):
        _is_python(program, rest)
    elif program == "docker":
        _is_compose(rest)
    elif program.startswith("scripts/"):
        assert os.access(ROOT / program, os.X_OK), f"{program} cannot be run"
    else:
        assert program in OTHERS, f"{program!r} is not known: check it here, or name it in OTHERS"


def _parsed(command: Any, name: str, arguments: list[str]) -> None:
    if "--help" in arguments:
        arguments = [argument for argument in arguments if argument != "--help"]
        if not arguments:
            return
    if hasattr(command, "commands"):
        assert arguments and arguments[0] in command.commands, f"{name} has no command {arguments[:1]}"
        _parsed(command.commands[arguments[0]], f"{name} {arguments[0]}", arguments[1:])
        return
    command.make_context(name, arguments)


def _is_target(words: Sequence[str]) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    variables = set(re.findall(r"^([A-Z_]+) [?:]?=", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for word in words:
        assert word.partition("=")[0] in (variables if "=" in word else targets), f"make {word}"


def _is_request(words: list[str]) -> None:
    [url] = [word for word in words if word.startswith("http://")]
    body = next((words[n + 1] for n, word in enumerate(words) if word == "-d"), None)
    method = next((words[n + 1] for n, word in enumerate(words) if word == "-X"), "GET" if body is None else "POST")
    document = json.loads((ROOT / "openapi/openapi.json").read_text())
    path = urlsplit(url).path
    fitting = [
        routes[method.lower()]
        for template, routes in document["paths"].items()
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path) and method.lower() in routes
    ]
    assert fitting, f"there is no {method} {path}"
    if body is not None:
        content = fitting[0]["requestBody"]["content"]["application/json"]["schema"]
        jsonschema_rs.validate({**content, "components": document["components"]}, json.loads(body))


def _is_python(program: str, words: list[str]) -> None:
    if program == "python" and words[0] == "-m":
        assert importlib.util.find_spec(words[1]) is not None, f"there is no module {words[1]}"
    elif program == "pip":
        assert words[0] == "install"
        extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
        for word in words[1:]:
            named = re.fullmatch(r"memory-r1\[(\w+)\]", word)
            assert (named and named[1] in extras) or (ROOT / word).is_dir(), f"pip install {word}"
    else:
        assert (ROOT / words[0]).exists(), f"python {words[0]}"


def _is_compose(words: list[str]) -> None:
    services = YAML(typ="safe").load((ROOT / "docker-compose.yml").read_text())["services"]
    profiles = {name for service in services.values() for name in service.get("profiles", [])}
    assert words.pop(0) == "compose"
    plain = []
    while words:
        word = words.pop(0)
        if word in _WITH_VALUE:
            value = words.pop(0)
            assert value in profiles if word == "--profile" else value.partition("=")[0] in services, f"{word} {value}"
        elif not word.startswith("-"):
            plain.append(word)
            if len(plain) == 2 and plain[0] in ("exec", "run"):
                break
    command, *named = plain
    assert command in _COMPOSE, command
    assert set(named) <= set(services), named
    if words and words[0] == "memory-r1":
        check(words)

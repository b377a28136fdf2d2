"""Fixtures for all; and property tests that never fail on time, and draw the same examples in every CI run."""

from __future__ import annotations

import os

import hypothesis
import pytest

pytest_plugins = [
    "tests.fixtures.database",
    "tests.fixtures.service",
    "tests.fixtures.model_servers",
    "tests.fixtures.live",
]

# Tables are cut to a terminal's width, and a test has no terminal.
os.environ["COLUMNS"] = "200"

hypothesis.settings.register_profile("default", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "default")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What one process takes as a whole: a file, whose tests share what they start, and all that share a vLLM."""
    for item in items:
        name = "vllm" if item.get_closest_marker("vllm") else item.nodeid.partition("::")[0]
        item.add_marker(pytest.mark.xdist_group(name))

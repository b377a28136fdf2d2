"""Fixtures for all; and property tests that never fail on time, and draw the same examples in every CI run."""

from __future__ import annotations

import os

import hypothesis

pytest_plugins = [
    "tests.fixtures.database",
    "tests.fixtures.service",
    "tests.fixtures.model_servers",
    "tests.fixtures.live",
]

hypothesis.settings.register_profile("default", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "default")

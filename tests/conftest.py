from __future__ import annotations

pytest_plugins = [
    "tests.fixtures.database",
    "tests.fixtures.service",
    "tests.fixtures.model_servers",
    "tests.fixtures.live",
]

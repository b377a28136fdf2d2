"""The TypeScript client against the live service, by tests of its own language: sdk/typescript/test."""

from __future__ import annotations

from tests.sdk.flaky import FlakyProxy
from tests.sdk.node import TYPESCRIPT, built_typescript, run_node

TESTS = 27
"""Of both files: fewer than are there is a run that left some out."""


def test_the_typescript_client_passes_its_tests(url: str, key: str, proxy: FlakyProxy) -> None:
    built_typescript()
    variables = {"MEMORY_R1_URL": url, "MEMORY_R1_KEY": key, "MEMORY_R1_PROXY": proxy.url}
    # The proxy has one script: one file of tests after another.
    command = ["node", "--test", "--test-concurrency=1", "--test-reporter=tap", "test/*.test.ts"]
    ran = run_node(command, TYPESCRIPT, variables)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert f"# pass {TESTS}" in ran.stdout.splitlines(), ran.stdout

"""The compose files without an engine: their form, what they promise, and what vLLM says to its arguments.

`python -m tests.compose` brings them up for real; it runs here too where MEMORY_R1_CONTAINERS=1 says that there is an
engine, with its options in MEMORY_R1_CONTAINERS_OPTIONS.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from app.settings import Settings
from app.settings_doc import settings_reference
from tests.compose.commands import DOCUMENTED
from tests.compose.engine import ROOT, TEST_FILE

FILES = ("docker-compose.yml", "docker-compose.secrets.yml", TEST_FILE)
OURS = ("migrate", "api", "worker", "model-check")
VARIABLE = re.compile(r"\$\{([A-Z0-9_]+)(?::-([^{}]*))?\}")
Service = dict[str, Any]


def read(file: str) -> dict[str, Any]:
    loaded: dict[str, Any] = YAML(typ="safe").load((ROOT / file).read_text(encoding="utf-8"))
    return loaded


@pytest.fixture(scope="module")
def services() -> dict[str, Service]:
    found: dict[str, Service] = read("docker-compose.yml")["services"]
    return found


def test_the_files_have_the_form_of_the_specification() -> None:
    checker = Path(sys.executable).with_name("check-jsonschema")
    command = [str(checker), "--builtin-schema", "vendor.compose-spec", *FILES]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


def test_profiles_choose_the_model_server(services: dict[str, Service]) -> None:
    always = {name for name, service in services.items() if "profiles" not in service}
    by_profile = {name: service["profiles"] for name, service in services.items() if "profiles" in service}
    assert always == {"postgres", "migrate", "api", "worker"}
    assert by_profile == {
        "vllm": ["gpu"],
        "vllm-cpu": ["cpu"],
        "model-check": ["external"],
        "prometheus": ["monitoring"],
        "grafana": ["monitoring"],
    }
    for name in ("vllm", "vllm-cpu"):
        assert services[name]["networks"]["models"]["aliases"] == ["model"]


def test_migrations_end_before_the_rest_starts(services: dict[str, Service]) -> None:
    assert services["migrate"]["depends_on"] == {"postgres": {"condition": "service_healthy"}}
    assert services["migrate"]["restart"] == "no"
    for name in ("api", "worker", "model-check"):
        assert services[name]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}


def test_every_container_is_hardened_restarted_bounded_and_checked(services: dict[str, Service]) -> None:
    for name, service in services.items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges"], name
        assert "privileged" not in service and "ipc" not in service, name
        # vLLM on a GPU writes caches that cannot be told without one.
        assert service.get("read_only", False) is (name != "vllm"), name
        assert service["restart"] == ("no" if name in ("migrate", "model-check") else "unless-stopped"), name
        assert service["logging"]["options"], name
        limited = service["deploy"]["resources"]
        assert {"cpus", "memory", "pids"} <= set(limited["limits"]) if name != "vllm" else limited["reservations"]
        assert "healthcheck" in service, name


def test_images_are_pinned_and_only_the_service_is_built(services: dict[str, Service]) -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    for name, service in services.items():
        image = VARIABLE.sub(lambda found: found.group(2), service["image"])
        tag = image.rpartition(":")[2]
        assert re.match(r"v?\d+\.\d+", tag), f"{name}: {image}"
        if image.startswith("memory-r1"):
            assert tag == version
            assert service["pull_policy"] == "never"
    for dockerfile in ("Dockerfile", "deploy/vllm-cpu/Dockerfile"):
        text = (ROOT / dockerfile).read_text()
        assert re.search(r"^ARG PYTHON_IMAGE=docker.io/library/python:\d+\.\d+\.\d+-slim-\w+$", text, re.MULTILINE)
        assert set(re.findall(r"^FROM (\S+)", text, re.MULTILINE)) <= {"${PYTHON_IMAGE}", "build"}
        assert re.search(r"^USER 10001:10001$", text, re.MULTILINE)


def test_nothing_listens_beyond_the_loopback_by_default(services: dict[str, Service]) -> None:
    published = [port for service in services.values() for port in service.get("ports", [])]
    assert len(published) == 3
    assert all(VARIABLE.sub(lambda found: found.group(2), port).startswith("127.0.0.1:") for port in published)
    assert read("docker-compose.yml")["networks"]["database"] == {"internal": True}
    assert services["postgres"]["networks"] == ["database"]
    # Whoever reaches vLLM can load adapters: it is on no network but that one.
    assert set(services["vllm"]["networks"]) == {"models"}


def test_settings_that_are_handed_on_exist(services: dict[str, Service]) -> None:
    known = set(re.findall(r"MEMORY_R1_[A-Z0-9_]+__[A-Z0-9_]+", settings_reference()))
    handed = {name for name in OURS for name in services[name]["environment"] if name.startswith("MEMORY_R1")}
    secret = read("docker-compose.secrets.yml")["services"]
    files = {one["target"].upper() for name in OURS for one in secret[name]["secrets"]}
    assert handed <= known
    assert files <= known


def test_every_secret_may_come_from_a_file(services: dict[str, Service]) -> None:
    secret = read("docker-compose.secrets.yml")["services"]
    for name in OURS:
        held = {key for key in services[name]["environment"] if key.endswith(("_PASSWORD", "_KEY"))}
        assert held <= {key for key, value in secret[name]["environment"].items() if value == ""}, name
        assert held == {one["target"].upper() for one in secret[name]["secrets"]}, name


def test_the_example_names_every_variable_with_its_default() -> None:
    example = (ROOT / ".env.example").read_text()
    named = dict(re.findall(r"^(?:# )?([A-Z][A-Z0-9_]+)=(.*)$", example, re.MULTILINE))
    used = dict[str, str]()
    for file in FILES[:2]:
        lines = [line for line in (ROOT / file).read_text().splitlines() if not line.lstrip().startswith("#")]
        used |= dict(VARIABLE.findall("\n".join(lines)))
    shown_otherwise = {"MEMORY_R1_LLM__BASE_URL", "MEMORY_R1_LLM__MODEL", "COMPOSE_PROFILES", "COMPOSE_FILE"}
    assert set(named) - {"COMPOSE_PROFILES", "COMPOSE_FILE"} == set(used)
    assert {name: value for name, value in named.items() if name not in shown_otherwise} == {
        name: value for name, value in used.items() if name not in shown_otherwise
    }


def test_the_gpu_profile_serves_the_model_that_the_service_asks_for(services: dict[str, Service]) -> None:
    model = services["api"]["environment"]["MEMORY_R1_LLM__MODEL"]
    assert f"--model={model}" in services["vllm"]["command"]
    assert VARIABLE.fullmatch(model)[2] == Settings.model_fields["llm"].default.model  # type: ignore[index]
    assert services["vllm"]["volumes"][1] == services["migrate"]["volumes"][0], "adapters lie at the same place"
    pinned = re.search(r"^VLLM=(.*)$", (ROOT / "scripts/vllm_cpu.sh").read_text(), re.MULTILINE)
    assert pinned and services["vllm"]["image"].endswith(f":v{pinned[1]}")


PARSED = "model host port max_model_len gpu_memory_utilization tensor_parallel_size enable_prefix_caching enable_lora"
PARSE = f"""
import json, sys
from vllm.entrypoints.launchers.cli_args import make_arg_parser, validate_parsed_serve_args
from vllm.utils.argparse_utils import FlexibleArgumentParser
arguments = make_arg_parser(FlexibleArgumentParser()).parse_args(sys.argv[1:])
validate_parsed_serve_args(arguments)
print(json.dumps({{name: getattr(arguments, name) for name in "{PARSED} max_loras max_lora_rank".split()}}))
"""


@pytest.mark.vllm
def test_vllm_understands_the_arguments_of_the_gpu_profile(services: dict[str, Service], vllm_installed: None) -> None:
    given = [VARIABLE.sub(lambda found: found.group(2), part) for part in services["vllm"]["command"]]
    python = ROOT / ".venv-vllm/bin/python"
    # From elsewhere, so that nothing of the repository is imported.
    done = subprocess.run([python, "-c", PARSE, *given], capture_output=True, text=True, check=False, cwd="/")
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout.splitlines()[-1]) == {
        "model": "Qwen/Qwen2.5-7B-Instruct",
        "host": "0.0.0.0",
        "port": 8000,
        "max_model_len": 16384,
        "gpu_memory_utilization": 0.9,
        "tensor_parallel_size": 1,
        "enable_prefix_caching": True,
        "enable_lora": True,
        "max_loras": 3,
        "max_lora_rank": 32,
    }


def test_the_page_shows_the_commands_that_are_run() -> None:
    page = (ROOT / "docs/hosting.md").read_text()
    blocks = re.findall(r"```bash\n(.*?)```", page, re.DOTALL)
    shown = {line.split("   ")[0] for block in blocks for line in block.splitlines()}
    assert set(DOCUMENTED) <= shown


def test_the_dashboard_and_its_source_are_provisioned(services: dict[str, Service]) -> None:
    source = read("deploy/grafana/provisioning/datasources/prometheus.yml")["datasources"][0]
    dashboard = (ROOT / "deploy/grafana/dashboards/memory-r1.json").read_text()
    assert set(re.findall(r'"type": "prometheus",\s*"uid": "([^"]*)"', dashboard)) == {source["uid"]}
    asked = {
        (config["job_name"], name, found["port"])
        for config in read("deploy/prometheus/prometheus.yml")["scrape_configs"]
        for found in config["dns_sd_configs"]
        for name in found["names"]
    }
    port = int(services["api"]["environment"]["MEMORY_R1_TELEMETRY__METRICS_PORT"])
    assert {("memory-r1", "api", port), ("memory-r1", "worker", port), ("model", "model", 8000)} == asked
    shared = set(services["prometheus"]["networks"]) & set(services["api"]["networks"])
    assert shared == {"models"}, "one network in common, or each container is counted twice"


@pytest.mark.skipif(os.environ.get("MEMORY_R1_CONTAINERS") != "1", reason="only where MEMORY_R1_CONTAINERS=1 asks")
@pytest.mark.timeout(3600)
def test_nothing_is_lost_in_real_containers() -> None:
    options = shlex.split(os.environ.get("MEMORY_R1_CONTAINERS_OPTIONS", ""))
    assert subprocess.run([sys.executable, "-m", "tests.compose", *options], check=False, cwd=ROOT).returncode == 0

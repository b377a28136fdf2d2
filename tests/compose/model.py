"""The scripted model server in a container: it takes its time, so that turns wait when something is killed."""

from __future__ import annotations

import uvicorn

from tests.bench.model_server import create_server

CALL_SECONDS = 1.0

if __name__ == "__main__":
    uvicorn.run(create_server(CALL_SECONDS), host="0.0.0.0", port=8000, log_level="error", access_log=False)

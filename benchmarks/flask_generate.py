"""The generate API as Flask before Redis: a hash for each job and a queue. Run as `flask_generate.py REDIS_PORT`."""

from __future__ import annotations

import sys
import uuid
from typing import Any

import redis
from flask import Flask, jsonify, request
from serving import serve


def make_app(store: Any) -> Any:
    app = Flask(__name__)

    def view(job_id: str, job: dict[str, str]) -> dict[str, Any]:
        percent = int(job["percent_complete"])
        return {"job_id": job_id, "status": job["status"], "percent_complete": percent, "handled_by": "app1"}

    def generate() -> Any:
        prompt = ((request.get_json(silent=True) or {}).get("prompt") or "").strip()
        if not prompt:
            return jsonify(error="missing_prompt", message="A prompt is needed."), 400
        job_id = str(uuid.uuid4())
        job = {"status": "queued", "percent_complete": "0", "prompt": prompt}
        store.hset(f"job:{job_id}", mapping=job)
        store.rpush("queue", job_id)
        return jsonify(view(job_id, job)), 202

    def look(job_id: str) -> Any:
        job = store.hgetall(f"job:{job_id}")
        if not job:
            return jsonify(error="not_found", message="There is no such job."), 404
        return jsonify(view(job_id, job))

    app.add_url_rule("/api/generate", view_func=generate, methods=["POST"])
    app.add_url_rule("/api/jobs/<job_id>", view_func=look)
    return app


if __name__ == "__main__":
    serve(make_app(redis.Redis(port=int(sys.argv[1]), decode_responses=True)), threads=16)

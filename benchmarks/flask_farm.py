"""The farm API as Flask over a list in the process, kept in SQLite. Arguments: TEMPLATE.json FILE.db THREADS."""

from __future__ import annotations

import json
import sqlite3
import sys
import threading
import uuid
from pathlib import Path
from typing import Any

from flask import Flask, jsonify, request
from serving import serve


class Farm:
    """The queue: a list that is searched from its start, and a table that is written with every change."""

    def __init__(self, template: dict[str, Any], file: str) -> None:
        self._template = template
        self._jobs: list[dict[str, Any]] = []
        self._revision = 0
        self._changed = threading.Condition()
        self._db = sqlite3.connect(file, check_same_thread=False)
        self._db.execute("CREATE TABLE jobs (id TEXT PRIMARY KEY, job TEXT)")

    def job(self, job_id: str) -> Any:
        found = self._find(job_id)
        return jsonify(found) if found is not None else ("There is no such job.", 400)

    def add(self) -> Any:
        body = request.get_json()
        made = [self._made(each) for each in (body if isinstance(body, list) else [body])]
        with self._changed:
            self._jobs += made
            self._save(made)
        return jsonify(made if isinstance(body, list) else made[0])

    def jobs(self) -> Any:
        with self._changed:
            return jsonify(jobs=self._jobs, token=str(self._revision))

    def long_poll(self) -> Any:
        token = request.args.get("token")
        with self._changed:
            if not self._changed.wait_for(lambda: token != str(self._revision), 60):
                return "", 204
        return self.jobs()

    def priority(self, job_id: str) -> Any:
        with self._changed:
            found = self._find(job_id)
            if found is None:
                return "There is no such job.", 400
            found["priority"] = int(request.args["value"])
            self._save([found])
        return jsonify(found)

    def _find(self, job_id: str) -> dict[str, Any] | None:
        return next((job for job in self._jobs if job["id"] == job_id), None)

    def _made(self, sent: dict[str, Any]) -> dict[str, Any]:
        job_id = str(uuid.uuid4())
        return {**self._template, "id": job_id, "job_id": job_id, "name": sent["name"], "args": sent["args"]}

    def _save(self, jobs: list[dict[str, Any]]) -> None:
        with self._db:
            rows = [(job["id"], json.dumps(job)) for job in jobs]
            self._db.executemany("INSERT OR REPLACE INTO jobs VALUES (?, ?)", rows)
        self._revision += 1
        self._changed.notify_all()


def make_app(farm: Farm) -> Any:
    app = Flask(__name__)
    app.add_url_rule("/api/jobs", view_func=farm.jobs)
    app.add_url_rule("/api/jobs/long_poll", view_func=farm.long_poll)
    app.add_url_rule("/api/jobs/<job_id>", view_func=farm.job)
    app.add_url_rule("/api/jobs/<job_id>/priority", view_func=farm.priority, methods=["POST"])
    app.add_url_rule("/api/add_job", view_func=farm.add, methods=["POST"])
    return app


if __name__ == "__main__":
    farm = Farm(json.loads(Path(sys.argv[1]).read_text()), sys.argv[2])
    serve(make_app(farm), threads=int(sys.argv[3]))

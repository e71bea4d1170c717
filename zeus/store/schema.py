"""The database's schema: numbered steps, each applied once and counted in `PRAGMA user_version`."""

from __future__ import annotations

import sqlite3
import uuid
from pathlib import Path

from zeus.errors import StoreFailed

STEPS = (
    """
    CREATE TABLE meta (
        key TEXT PRIMARY KEY,
        value TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE jobs (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        name TEXT NOT NULL,
        renderer TEXT NOT NULL,
        renderer_version TEXT NOT NULL,
        args BLOB NOT NULL,
        created REAL NOT NULL,
        priority INTEGER NOT NULL,
        max_attempts INTEGER NOT NULL,
        start_frame INTEGER,
        end_frame INTEGER,
        enable_split_jobs INTEGER NOT NULL,
        input TEXT,
        local_path TEXT,
        notes TEXT NOT NULL,
        status TEXT NOT NULL,
        attempt INTEGER NOT NULL DEFAULT 0,
        percent INTEGER NOT NULL DEFAULT 0,
        completed_frames INTEGER NOT NULL DEFAULT 0,
        node TEXT,
        started REAL,
        ended REAL,
        error_code TEXT,
        error_message TEXT,
        file_count INTEGER NOT NULL DEFAULT 0,
        revision INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX jobs_by_status ON jobs (status);

    CREATE TABLE tasks (
        id INTEGER PRIMARY KEY,
        job_id TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
        renderer TEXT NOT NULL,
        priority INTEGER NOT NULL,
        status TEXT NOT NULL,
        attempt INTEGER NOT NULL DEFAULT 0,
        failures INTEGER NOT NULL DEFAULT 0,
        start_frame INTEGER,
        end_frame INTEGER,
        not_before REAL NOT NULL DEFAULT 0,
        cancelling INTEGER NOT NULL DEFAULT 0
    ) STRICT;
    CREATE INDEX tasks_of_job ON tasks (job_id);
    CREATE INDEX tasks_in_line ON tasks (renderer, priority DESC, id) WHERE status = 'queued';
    CREATE INDEX tasks_running ON tasks (id) WHERE status = 'running';

    CREATE TABLE outputs (
        job_id TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
        name TEXT NOT NULL,
        size INTEGER NOT NULL,
        sha256 TEXT NOT NULL,
        PRIMARY KEY (job_id, name)
    ) STRICT, WITHOUT ROWID;
    """,
    """
    ALTER TABLE jobs ADD COLUMN parent TEXT REFERENCES jobs (id) ON DELETE CASCADE;
    ALTER TABLE jobs ADD COLUMN not_before REAL NOT NULL DEFAULT 0;
    ALTER TABLE jobs ADD COLUMN depends_on TEXT NOT NULL DEFAULT '[]';
    CREATE INDEX jobs_of_parent ON jobs (parent) WHERE parent IS NOT NULL;
    CREATE INDEX jobs_by_revision ON jobs (revision);

    ALTER TABLE tasks DROP COLUMN cancelling;
    ALTER TABLE tasks ADD COLUMN wish TEXT NOT NULL DEFAULT '';
    CREATE INDEX tasks_waiting ON tasks (not_before) WHERE status = 'waiting';

    CREATE TABLE needs (
        job_id TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
        needed TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
        PRIMARY KEY (job_id, needed)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX needs_of ON needs (needed);

    CREATE TABLE keys (
        text TEXT PRIMARY KEY,
        digest TEXT NOT NULL,
        made TEXT NOT NULL,
        created REAL NOT NULL
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE removed (
        revision INTEGER NOT NULL,
        job_id TEXT NOT NULL,
        PRIMARY KEY (revision, job_id)
    ) STRICT, WITHOUT ROWID;
    """,
    """
    ALTER TABLE jobs ADD COLUMN frame_step INTEGER NOT NULL DEFAULT 1;
    ALTER TABLE jobs ADD COLUMN publishes TEXT NOT NULL DEFAULT 'whole';

    CREATE INDEX tasks_to_start ON tasks (not_before) WHERE status = 'queued';

    CREATE TABLE frames (
        job_id TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
        number INTEGER NOT NULL,
        node TEXT NOT NULL,
        seconds REAL,
        error TEXT,
        PRIMARY KEY (job_id, number)
    ) STRICT, WITHOUT ROWID;
    """,
    """
    ALTER TABLE jobs ADD COLUMN demand TEXT NOT NULL DEFAULT '{}';
    ALTER TABLE tasks ADD COLUMN demand TEXT NOT NULL DEFAULT '{}';

    DROP INDEX tasks_in_line;
    CREATE INDEX tasks_in_line ON tasks (renderer, demand, priority DESC, id) WHERE status = 'queued';
    """,
    """
    ALTER TABLE jobs ADD COLUMN tags TEXT NOT NULL DEFAULT '[]';
    ALTER TABLE jobs ADD COLUMN splits TEXT NOT NULL DEFAULT '';
    ALTER TABLE jobs ADD COLUMN share TEXT NOT NULL DEFAULT 'null';
    ALTER TABLE jobs ADD COLUMN project TEXT NOT NULL DEFAULT '';
    ALTER TABLE jobs ADD COLUMN piece_args BLOB NOT NULL DEFAULT x'';
    ALTER TABLE jobs ADD COLUMN joins INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE jobs ADD COLUMN input_of TEXT;
    ALTER TABLE jobs ADD COLUMN told TEXT NOT NULL DEFAULT '';
    CREATE INDEX jobs_shared ON jobs (seq) WHERE share != 'null';
    ALTER TABLE tasks ADD COLUMN role TEXT NOT NULL DEFAULT 'work';
    ALTER TABLE tasks ADD COLUMN age REAL NOT NULL DEFAULT 0;
    UPDATE tasks SET age = (SELECT coalesce(whole.seq, jobs.seq) FROM jobs
        LEFT JOIN jobs whole ON whole.id = jobs.parent WHERE jobs.id = job_id);
    DROP INDEX tasks_in_line;
    CREATE INDEX tasks_in_line ON tasks (renderer, demand, priority DESC, age, id) WHERE status = 'queued';
    ALTER TABLE outputs ADD COLUMN frame INTEGER;
    DROP INDEX jobs_of_parent;
    CREATE INDEX jobs_of_parent ON jobs (parent, status) WHERE parent IS NOT NULL;

    CREATE TABLE paces (
        node TEXT NOT NULL,
        engine TEXT NOT NULL,
        seconds REAL NOT NULL,
        setup REAL NOT NULL,
        PRIMARY KEY (node, engine)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE sent (
        task_id INTEGER PRIMARY KEY REFERENCES tasks (id) ON DELETE CASCADE,
        attempt INTEGER NOT NULL,
        node TEXT NOT NULL,
        job_id TEXT NOT NULL
    ) STRICT;

    CREATE TABLE losses (
        job_id TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
        node TEXT NOT NULL,
        count INTEGER NOT NULL,
        PRIMARY KEY (job_id, node)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE debts (
        node TEXT NOT NULL,
        job_id TEXT NOT NULL,
        wish TEXT NOT NULL,
        since REAL NOT NULL,
        of_job TEXT NOT NULL,
        PRIMARY KEY (node, job_id)
    ) STRICT, WITHOUT ROWID;
    """,
    """
    ALTER TABLE losses ADD COLUMN since REAL NOT NULL DEFAULT 0;
    ALTER TABLE losses ADD COLUMN reason TEXT NOT NULL DEFAULT '';
    """,
)


def connect(path: Path) -> sqlite3.Connection:
    """Open the database for writing, in autocommit mode, durable at each commit."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA busy_timeout = 5000")
    connection.execute("PRAGMA journal_size_limit = 67108864")
    return connection


def upgrade(connection: sqlite3.Connection) -> None:
    """Apply the steps that this database does not have yet. Raises StoreFailed when it is newer than this program."""
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > len(STEPS):
        raise StoreFailed(f"The database has schema {version}, but this Zeus knows only {len(STEPS)}: upgrade Zeus.")
    for number, step in enumerate(STEPS[version:], version + 1):
        connection.executescript(f"BEGIN IMMEDIATE; {step} PRAGMA user_version = {number}; COMMIT;")
    connection.execute("INSERT OR IGNORE INTO meta VALUES ('uuid', ?), ('revision', '0')", (str(uuid.uuid4()),))

"""`zeus submit`, `zeus jobs` and `zeus engines` in a pipe, against a real node."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.console import NOWHERE, read_until, start, zeus
from zeus.api.app import Node
from zeus.cli import follow
from zeus.peers.client import RenderServerProxy, ServerUnreachable


@pytest.fixture
async def server(node: Node) -> AsyncIterator[RenderServerProxy]:
    async with RenderServerProxy(node.url) as made:
        yield made


@pytest.fixture
def source(tmp_path: Path) -> Path:
    file = tmp_path / "source.noop"
    file.write_text("content")
    return file


async def test_submit_prints_the_id_and_leaves(node: Node, server: RenderServerProxy, source: Path) -> None:
    options = ["--frames", "1-5", "--priority", "7", "--split", "--arg", "seconds=30", "--arg", "content=text"]
    done = await zeus("submit", str(source), *options, "--server", node.url)
    assert done.code == 0
    job = await server.get_job(done.out.strip())
    assert (job.start_frame, job.end_frame, job.priority, job.enable_split_jobs) == (1, 5, 7, True)
    assert (job.args["seconds"], job.args["content"], job.renderer) == (30, "text", "noop")
    await server.cancel_job(job.id)


async def test_submit_follows_and_downloads(node: Node, source: Path, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    done = await zeus("submit", str(source), "--download", str(folder), "--server", node.url)
    assert done.code == 0
    assert "100%" in done.out and " finished\n" in done.out and f"{folder / 'out.txt'} (4 bytes)" in done.out
    assert (folder / "out.txt").read_text() == "done"


async def test_submit_prints_json_alone(node: Node, source: Path) -> None:
    done = await zeus("submit", str(source), "--follow", "--json", "--server", node.url)
    assert (done.code, done.err) == (0, "")
    assert (done.json["status"], done.json["percent_complete"]) == ("finished", 100)


async def test_a_failed_job_is_exit_code_1(node: Node) -> None:
    arguments = ["--renderer", "noop", "--arg", "fail=told to", "--arg", "retry=false", "--arg", "prompt=x"]
    done = await zeus("submit", "--prompt", "x", *arguments, "--server", node.url)
    assert (done.code, done.err.count("\n")) == (1, 1)
    assert "prompt" in done.err  # noop has no such argument: the server says so
    plain = [word for word in arguments if word != "prompt=x"][:-1]
    assert plain[-1] == "retry=false"
    file = node.zeus.files.root / "a.noop"
    file.write_text("x")
    done = await zeus("submit", str(file), *plain, "--follow", "--server", node.url)
    assert done.code == 1
    assert "failed: told to (told_to_fail)" in done.out


async def test_what_the_server_refuses_is_exit_code_1(node: Node, source: Path) -> None:
    done = await zeus("submit", str(source), "--renderer", "nope", "--server", node.url)
    assert (done.code, done.out) == (1, "")
    assert 'zeus: There is no engine "nope" here' in done.err
    done = await zeus("jobs", "show", "0" * 8 + "-0000-0000-0000-" + "0" * 12, "--server", node.url)
    assert done.code == 1


async def test_an_interrupt_without_a_terminal_leaves_the_job(
    node: Node, server: RenderServerProxy, source: Path
) -> None:
    process = await start("submit", str(source), "--arg", "seconds=60", "--follow", "--server", node.url)
    await read_until(process, "noop 0%")
    process.send_signal(signal.SIGINT)
    _, err = await process.communicate()
    assert (process.returncode, b"runs on" in err, b"Traceback" in err) == (130, True, False)
    assert [job.status for job in (await server.get_jobs()).jobs] == ["running"]


async def test_following_waits_for_a_server_that_restarts_but_not_forever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow, "GRACE_SECONDS", 0.1)
    async with RenderServerProxy(NOWHERE) as server:
        with pytest.raises(ServerUnreachable):
            await follow.follow(server, "x", follow.Silent())


async def test_jobs_are_listed_shown_and_deleted_by_shortened_ids(node: Node, server: RenderServerProxy) -> None:
    made = await server.create_job({"renderer": "noop", "name": "a\x1b[31mname"})
    while (await server.get_job(made.id)).status != "finished":
        await asyncio.sleep(0.05)
    short = made.id[:6]
    for listing in (["jobs"], ["jobs", "list"]):
        done = await zeus(*listing, "--server", node.url)
        assert done.out.splitlines() == [
            "id\tstatus\tdone\tengine\tname\tnode",
            f"{made.id}\tfinished\t100%\tnoop\ta?[31mname\ttest-node",
        ]
    for words in (["--json", "list", "--server", node.url], ["--server", node.url, "--json", "list"], ["list"]):
        extra = [] if "--json" in words else ["--json", "--server", node.url]
        assert (await zeus("jobs", *words, *extra)).json["jobs"][0]["id"] == made.id
    assert f"id\t{made.id}" in (await zeus("jobs", "show", short, "--server", node.url)).out.splitlines()
    assert (await zeus("jobs", "show", short, "--json", "--server", node.url)).json["status"] == "finished"
    assert (await zeus("jobs", "logs", short, "--server", node.url)).code == 0
    assert "finished" in (await zeus("jobs", "cancel", short, "--server", node.url)).out
    assert (await zeus("jobs", "delete", short, "--server", node.url)).out == f"{made.id} deleted\n"
    done = await zeus("jobs", "show", short, "--server", node.url)
    assert (done.code, done.err) == (1, f'zeus: No job\'s id begins with "{short}".\n')


async def test_a_shortened_id_of_several_jobs_is_refused(node: Node, server: RenderServerProxy) -> None:
    ids = [(await server.create_job({"renderer": "noop"})).id for _ in range(17)]
    twice = next(each for each in "0123456789abcdef" if sum(job.startswith(each) for job in ids) > 1)
    done = await zeus("jobs", "cancel", twice, "--server", node.url)
    assert done.code == 2
    assert f'jobs\' ids begin with "{twice}"' in done.err


async def test_jobs_cancel_ends_several(node: Node, server: RenderServerProxy) -> None:
    ids = [(await server.create_job({"renderer": "noop", "args": {"seconds": 60}})).id for _ in range(2)]
    done = await zeus("jobs", "cancel", *ids, "--server", node.url)
    assert done.code == 0
    for job_id in ids:
        assert f"{job_id} cancelled" in done.out
        assert (await server.get_job(job_id)).status == "cancelled"


async def test_jobs_download_takes_one_folder_or_one_each(
    node: Node, server: RenderServerProxy, tmp_path: Path
) -> None:
    ids = []
    for content in ("one", "two"):
        job = await server.create_job({"renderer": "noop", "args": {"content": content, "files": ["ä b.txt"]}})
        ids.append(job.id)
        while (await server.get_job(job.id)).status != "finished":
            await asyncio.sleep(0.05)
    assert (await zeus("jobs", "download", ids[0], "--to", str(tmp_path), "--server", node.url)).code == 0
    assert (tmp_path / "ä b.txt").read_text() == "one"
    done = await zeus("jobs", "download", *ids, "--to", str(tmp_path / "both"), "--json", "--server", node.url)
    told = [json.loads(line)["files"] for line in done.out.splitlines()]
    assert told == [[str(tmp_path / "both" / each[:8] / "ä b.txt")] for each in ids]
    assert (tmp_path / "both" / ids[1][:8] / "ä b.txt").read_text() == "two"


async def test_jobs_are_listed_by_status_and_the_newest_alone(node: Node, server: RenderServerProxy) -> None:
    made = await server.create_jobs([{"renderer": "noop", "args": {"seconds": 60}} for _ in range(3)])
    ids = [job.id for job in reversed(made)]
    done = await zeus("jobs", "list", "--limit", "2", "--json", "--server", node.url)
    assert [job["id"] for job in done.json["jobs"]] == ids[:2]
    await server.cancel_job(ids[1])
    done = await zeus("jobs", "list", "--status", "cancelled", "--server", node.url)
    assert [line.split("\t")[0] for line in done.out.splitlines()[1:]] == [ids[1]]
    done = await zeus("jobs", "list", "--status", "nonsense", "--server", node.url)
    assert (done.code, done.out) == (1, "")


async def test_jobs_are_paused_resumed_and_retried(node: Node, server: RenderServerProxy) -> None:
    job = await server.create_job({"renderer": "noop", "args": {"seconds": 60}})
    done = await zeus("jobs", "pause", job.id[:8], "--server", node.url)
    assert (done.code, done.out) == (0, f"{job.id} paused\n")
    done = await zeus("jobs", "why", job.id[:8], "--server", node.url)
    assert done.out == f"{job.id} paused\n  It is paused: resume it.\n"
    done = await zeus("jobs", "resume", job.id[:8], "--json", "--server", node.url)
    assert done.json["id"] == job.id and (await server.get_job(job.id)).status in ("queued", "running")
    done = await zeus("jobs", "resume", job.id[:8], "--server", node.url)
    assert (done.code, done.out) == (1, "")
    await server.cancel_job(job.id)
    done = await zeus("jobs", "retry", job.id[:8], "--server", node.url)
    assert done.code == 0 and done.out.startswith(f"{job.id} ")
    await server.cancel_job(job.id)


async def test_jobs_why_names_what_a_job_waits_for(node: Node, server: RenderServerProxy) -> None:
    first = await server.create_job({"renderer": "noop", "args": {"seconds": 60}})
    options = ["--depends-on", first.id[:8], "--renderer", "noop", "--at", "2030-01-01T00:00Z"]
    made = node.zeus.files.root / "a.noop"
    made.write_text("x")
    job_id = (await zeus("submit", str(made), *options, "--server", node.url)).out.strip()
    assert (await server.get_job(job_id)).depends_on == [first.id]
    done = await zeus("jobs", "why", job_id, "--server", node.url)
    assert done.out.splitlines()[0] == f"{job_id} waiting"
    assert f"needs job {first.id}" in done.out and "2030-01-01T00:00:00Z" in done.out
    assert (await zeus("jobs", "why", job_id, "--json", "--server", node.url)).json["status"] == "waiting"
    await server.delete_job(job_id)
    await server.delete_job(first.id)


async def test_a_log_is_followed_to_the_jobs_end(node: Node, server: RenderServerProxy) -> None:
    args = {"seconds": 1, "tool": ["garbage"]}
    job = await server.create_job({"renderer": "noop", "args": args})
    done = await zeus("jobs", "logs", "--follow", job.id, "--server", node.url)
    assert (done.code, "tool.py garbage" in done.out) == (0, True)
    assert (await server.get_job(job.id)).status == "finished"
    told = await zeus("jobs", "logs", job.id, "--json", "--server", node.url)
    assert told.json == {"id": job.id, "log": done.out}


async def test_a_preset_is_the_servers_to_know(node: Node, source: Path) -> None:
    done = await zeus("submit", str(source), "--preset", "no such preset", "--server", node.url)
    assert (done.code, done.out) == (1, "")
    assert "preset" in done.err


async def test_engines_are_listed_and_shown(node: Node) -> None:
    done = await zeus("engines", "--server", node.url)
    rows = [line.split("\t") for line in done.out.splitlines()]
    assert rows[0] == ["engine", "can run", "versions"] and ["noop", "yes", "1 (builtin)"] in rows
    listed = (await zeus("engines", "list", "--json", "--server", node.url)).json
    assert listed["noop"]["available"] and listed["noop"]["versions"][0]["version"] == "1"
    done = await zeus("engines", "show", "noop", "--server", node.url)
    assert "takes\tnoop" in done.out.splitlines() and "seconds\tnumber\t0.0" in done.out.splitlines()
    shown = (await zeus("engines", "show", "noop", "ffmpeg", "--json", "--server", node.url)).out.splitlines()
    assert [json.loads(line)["name"] for line in shown] == ["noop", "ffmpeg"]
    done = await zeus("engines", "show", "nope", "--server", node.url)
    assert (done.code, "nope" in done.err) == (1, True)


async def test_top_into_a_pipe_is_one_plain_picture(node: Node, server: RenderServerProxy) -> None:
    job = await server.create_job({"renderer": "noop", "name": "fox", "args": {"seconds": 60}})
    while (await server.get_job(job.id)).status != "running":
        await asyncio.sleep(0.05)
    done = await zeus("top", "--server", node.url)
    lines = done.out.splitlines()
    assert (done.code, lines[0].split("\t")[0], lines[2]) == (0, "node", "")
    assert lines[1].split("\t")[0] == "test-node" and lines[1].endswith("1 running")
    assert lines[4].startswith(f"{job.id[:8]}\trunning\t") and "\x1b" not in done.out
    told = (await zeus("top", "--json", "--server", node.url)).json
    assert told["nodes"][0]["hostname"] == "test-node" and told["jobs"][0]["id"] == job.id
    await server.cancel_job(job.id)

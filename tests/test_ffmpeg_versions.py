"""A managed FFmpeg: a real one, published as its builds are, installed over HTTP and used by a job that names it."""

from __future__ import annotations

import asyncio
import hashlib
import platform
import re
import subprocess
from pathlib import Path

import aiohttp
import msgspec
from zeus_plugins.ffmpeg.finder import Finder, bundled
from zeus_plugins.ffmpeg.releases import RELEASES

from tests.conftest import Api, config_for, need
from tests.ffmpeg_context import Context
from tests.releases import publisher, tar
from zeus.api.app import running_node
from zeus.engine import Version

SYSTEM = "linuxarm64" if platform.machine() == "aarch64" else "linux64"


def real() -> tuple[bytes, str]:
    """The FFmpeg that comes with imageio-ffmpeg, and its version."""
    found = next(bundled(), None)
    need(found, "FFmpeg", "pip install imageio-ffmpeg")
    assert found is not None
    printed = subprocess.run([found[1], "-version"], capture_output=True, text=True, check=True).stdout
    match = re.match(RELEASES.version_line, printed)
    assert match
    return found[1].read_bytes(), match["version"]


async def test_a_managed_ffmpeg_does_the_work(session: aiohttp.ClientSession, tmp_path: Path) -> None:
    binary, version = await asyncio.to_thread(real)
    folder = f"ffmpeg-n{version}-latest-{SYSTEM}-gpl-{version}"
    archive = await asyncio.to_thread(tar, {f"{folder}/bin/ffmpeg": binary}, how="w")
    sums = [(archive, f"{folder}.tar.xz"), (b"", f"ffmpeg-master-latest-{SYSTEM}-gpl.tar.xz"),
            (b"", f"ffmpeg-n{version}-latest-{SYSTEM}-gpl-shared-{version}.tar.xz")]  # fmt: skip
    lines = "".join(f"{hashlib.sha256(data).hexdigest()}  {name}\n" for data, name in sums)
    async with publisher() as mirror:
        mirror.files = {f"/latest/{folder}.tar.xz": archive, "/latest/checksums.sha256": lines.encode()}
        config = config_for(tmp_path, engines={"ffmpeg": {"mirror": f"{mirror.url}/latest", "auto_install": True}})
        async with running_node(config) as node:
            api = Api(session, node.url)
            _, newest = await api.get("/api/engines/most_recent_version?engine=ffmpeg")
            assert (newest["version"], newest["lts"]) == (version, None)
            status, coming = await api.post(f"/api/engines/download?engine=ffmpeg&version={version}")
            assert (status, coming["version"]) == (202, version)
            while (view := (await api.get("/api/engines/ffmpeg"))[1])["downloads"]:
                assert view["downloads"][0]["state"] != "failed", view
                await asyncio.sleep(0.05)
            assert view["versions"][0] == {"version": version, "source": "managed"}
            _, made = await api.post("/api/generate", json={"prompt": "a fox", "num_frames": 4})
            await api.until(made["job_id"])
            async with session.get(f"{node.url}/files/{made['job_id']}/out.mp4") as got:
                video = await got.read()
            form = aiohttp.FormData()
            fields = {"renderer": "ffmpeg", "renderer_version": version, "args": {"container": "mkv"}}
            form.add_field("json", msgspec.json.encode(fields).decode())
            form.add_field("file", video, filename="fox.mp4")
            status, job = await api.post("/api/add_job", data=form)
            assert status == 200, job
            job = await api.until(job["id"])
            assert (job["status"], job["renderer_version"]) == ("finished", version), job
            log = (await api.get(f"/api/jobs/{job['id']}/logs"))[1]
            assert f"version: ffmpeg {version} (managed)" in log
            assert f"$ {tmp_path}/storage/engines/ffmpeg/{version}/files/{folder}/bin/ffmpeg " in log
            body = {"engine": "ffmpeg", "version": version}
            status, view = await api.post("/api/engines/delete", json=body)
            assert status == 200 and "managed" not in [each["source"] for each in view["versions"]]


async def test_a_configured_ffmpeg_goes_before_a_managed_one_and_that_before_the_bundled(tmp_path: Path) -> None:
    binary, version = await asyncio.to_thread(real)
    paths = [tmp_path / "own", tmp_path / "managed"]
    for path in paths:
        await asyncio.to_thread(path.write_bytes, binary)
        await asyncio.to_thread(path.chmod, 0o755)
    context = Context(tmp_path, None, None)
    context.installed = [Version("8.0", "managed", str(paths[1]))]
    found = await Finder(str(paths[0])).versions(context)
    assert [(each.version, each.source) for each in found[:3]] == [
        (version, "configured"), ("8.0", "managed"), (version, "bundled")]  # fmt: skip
    build = await Finder(str(paths[0])).chosen(context, found[1])
    assert (build.path, build.version) == (paths[1], "8.0")

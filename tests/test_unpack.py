"""Unpacking what real programs pack, in bounded memory, durable and whole or not at all."""

from __future__ import annotations

import bz2
import errno
import gzip
import io
import lzma
import os
import shutil
import stat
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.archives import Member, deflated, item, long, pax, tarred, unicode_path, zipped
from tests.conftest import need
from tests.test_unpack_hostile import contents
from zeus.errors import BadInput, NoSpace
from zeus.unpack import unpack

DEEP = "/".join(["d" * 120] * 3) + "/f"
"""A name that is too long for the oldest tar headers."""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder as artists send it."""
    folder = tmp_path / "project"
    for name in ("scene.blend", "tex/wood ä ö 木.png", "tex/.hidden", "cache/empty", "bin/run.sh", DEEP):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode() * 1000 if name != "cache/empty" else b"")
    (folder / "scene.blend").write_bytes(os.urandom(700_000))
    (folder / "bin/run.sh").chmod(0o4755)
    (folder / "nothing in it").mkdir()
    return folder


def tree(folder: Path) -> dict[str, tuple[str, bytes | str]]:
    """All that is under a folder: modes, and content or goal."""
    found: dict[str, tuple[str, bytes | str]] = {}
    for path in folder.rglob("*"):
        name, mode = str(path.relative_to(folder)), stat.filemode(path.lstat().st_mode)
        content = str(path.readlink()) if path.is_symlink() else path.read_bytes() if path.is_file() else b""
        found[name] = mode, content
    return found


def unpacked(data: bytes, folder: Path, *, links: bool = False) -> list[str]:
    (folder / "archive").write_bytes(data)
    shutil.rmtree(folder / "target", ignore_errors=True)
    return [str(path) for path in unpack(folder / "archive", folder / "target", links=links)]


def same(project: Path, target: Path) -> bool:
    """Whether a folder came out as it is, without the bit that makes programs run as someone else."""
    (project / "bin/run.sh").chmod(0o755)
    return tree(project) == tree(target)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
@pytest.mark.parametrize("streamed", [False, True])
def test_zips_of_python(method: int, streamed: bool, project: Path, tmp_path: Path) -> None:
    archive = tmp_path / "a.zip"
    with archive.open("wb") as file:
        out = Pipe(file) if streamed else file
        with zipfile.ZipFile(out, "w", method) as made:  # type: ignore[arg-type]
            for path in sorted(project.rglob("*")):
                made.write(path, path.relative_to(project))
    found = unpack(archive, tmp_path / "target")
    assert same(project, tmp_path / "target")
    assert set(found) == {PurePosixPath(path.relative_to(project)) for path in project.rglob("*") if path.is_file()}


class Pipe:
    """A file that cannot be sought in, so that sizes follow the data."""

    def __init__(self, file: io.BufferedWriter) -> None:
        self.write, self.flush = file.write, file.flush


@pytest.mark.parametrize("streamed", [False, True])
def test_zips_with_sizes_of_64_bits(streamed: bool, tmp_path: Path) -> None:
    archive = tmp_path / "a.zip"
    with archive.open("wb") as file, zipfile.ZipFile(Pipe(file) if streamed else file, "w") as made:  # type: ignore[arg-type]
        for name in ("a", "b"):
            with made.open(name, "w", force_zip64=True) as member:
                member.write(b"x" * 100_000)
    assert unpack(archive, tmp_path / "target") == [PurePosixPath("a"), PurePosixPath("b")]
    assert (tmp_path / "target/b").read_bytes() == b"x" * 100_000


@pytest.mark.long
def test_zips_beyond_4_gib(tmp_path: Path) -> None:
    archive = tmp_path / "a.zip"
    block = os.urandom(1 << 20)
    with zipfile.ZipFile(archive, "w") as made:
        with made.open("large", "w", force_zip64=True) as member:
            for _ in range(4200):
                member.write(block)
        made.writestr("behind it", "x")
    unpack(archive, tmp_path / "target")
    assert (tmp_path / "target/large").stat().st_size == 4200 << 20
    assert (tmp_path / "target/behind it").read_text() == "x"


@pytest.mark.parametrize("streamed", [False, True])
def test_zips_of_info_zip(streamed: bool, project: Path, tmp_path: Path) -> None:
    need(shutil.which("zip"), "zip", "apt-get install zip")
    with (tmp_path / "a.zip").open("wb") as file:
        argv = ["zip", "-qr", "-", "."] if streamed else ["zip", "-qr", "../b.zip", "."]
        packed = subprocess.run(argv, cwd=project, check=True, stdout=subprocess.PIPE)
        file.write(packed.stdout if streamed else (tmp_path / "b.zip").read_bytes())
    unpack(tmp_path / "a.zip", tmp_path / "target")
    assert same(project, tmp_path / "target")


@pytest.mark.parametrize("form", ["gnu", "pax", "posix", "ustar"])
@pytest.mark.parametrize("packing", ["", "--gzip", "--bzip2", "--xz"])
def test_tars_of_gnu_tar(form: str, packing: str, project: Path, tmp_path: Path) -> None:
    need(shutil.which("xz") and shutil.which("bzip2"), "xz and bzip2", "apt-get install xz-utils bzip2")
    (project / "hard").hardlink_to(project / "scene.blend")
    (project / "tex/soft").symlink_to("../scene.blend")
    (project / "folder").symlink_to("tex")
    if form == "ustar":
        shutil.rmtree(project / DEEP.partition("/")[0])
    argv = ["tar", f"--format={form}", *([packing] if packing else []), "-cf", str(tmp_path / "a"), "."]
    subprocess.run(argv, cwd=project, check=True)
    unpack(tmp_path / "a", tmp_path / "target", links=True)
    assert same(project, tmp_path / "target")


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_tars_of_python(form: int, tmp_path: Path) -> None:
    archive = tmp_path / "a.tar.xz"
    with tarfile.open(archive, "w:xz", format=form) as made:
        for name in ("a" * 90 + "/" + "ü" * 40, "b"):
            head = tarfile.TarInfo(name)
            head.size, head.mtime = 5, 1.5  # type: ignore[assignment]
            made.addfile(head, io.BytesIO(b"12345"))
    assert len(unpack(archive, tmp_path / "target")) == 2
    assert (tmp_path / "target" / ("a" * 90) / ("ü" * 40)).read_bytes() == b"12345"


def test_an_engines_release(tmp_path: Path) -> None:
    """As Blender's look: one folder, a program, libraries under several names."""
    top = tmp_path / "made" / "blender-9.9.9-linux-x64"
    for name in ("blender", "lib/libtbb.so.2.1", "9.9/python/bin/python3.11", "9.9/scripts/startup/bl_ui/__init__.py"):
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_bytes(name.encode() * 9999)
    (top / "blender").chmod(0o775)
    (top / "lib/libtbb.so.2").symlink_to("libtbb.so.2.1")
    (top / "lib/libtbb.so").symlink_to("libtbb.so.2")
    (top / "9.9/python/lib").symlink_to("../../lib")
    subprocess.run(["tar", "--xz", "-cf", "../a.tar.xz", top.name], cwd=top.parent, check=True)
    unpack(tmp_path / "a.tar.xz", tmp_path / "target", links=True)
    assert (tmp_path / "target" / top.name / "9.9/python/lib/libtbb.so").read_bytes() == b"lib/libtbb.so.2.1" * 9999
    (top / "blender").chmod(0o755)
    assert tree(tmp_path / "target") == tree(top.parent)


def test_what_macos_adds_is_left_out(tmp_path: Path) -> None:
    names = (b"p/", b"p/a", b"__MACOSX/", b"__MACOSX/p/._a", b"p/.DS_Store", b".DS_Store", b"p/._a")
    assert unpacked(zipped(*(Member(name) for name in names)), tmp_path) == ["p/a"]
    assert unpacked(tarred(*(item(name, b"x" * 700) for name in names if name[-1:] != b"/")), tmp_path) == ["p/a"]
    assert sorted(tree(tmp_path / "target")) == ["p", "p/a"]


def test_names_in_several_encodings(tmp_path: Path) -> None:
    packed = zipped(
        Member("ä 木".encode()),
        Member("ö".encode(), flags=0),
        Member("ü".encode("cp437"), flags=0),
        Member(b"?", flags=0, extra=unicode_path(b"?", "né".encode())),
        Member(b"stale", flags=0, extra=unicode_path(b"other", b"name")),
        Member("می\u200cخواهم".encode()),
        Member("Screenshot 9.41\u202fAM".encode()),
    )
    names = ["ä 木", "ö", "ü", "né", "stale", "می\u200cخواهم", "Screenshot 9.41\u202fAM"]
    assert unpacked(packed, tmp_path) == names
    assert sorted(path.name for path in (tmp_path / "target").iterdir()) == sorted(names)


def test_modes(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        unpacked(
            zipped(*(Member(b"%o" % mode, mode=0o100000 | mode) for mode in (0o6777, 0o644, 0o100, 0o055))), tmp_path
        )
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "target").iterdir()}
        assert modes == {"6777": 0o755, "644": 0o644, "100": 0o755, "55": 0o644}
        unpacked(tarred(*(item(b"%o" % mode, mode=mode) for mode in (0o6777, 0o0))), tmp_path)
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "target").iterdir()}
        assert modes == {"6777": 0o755, "0": 0o644}
    finally:
        os.umask(before)


def test_streams_one_behind_the_other(tmp_path: Path) -> None:
    data = tarred(item(b"a", os.urandom(300_000)), item(b"b", b"x"))
    for pack in (gzip.compress, bz2.compress, lzma.compress):
        parts = [pack(data[start : start + 50_000]) + bytes(8) for start in range(0, len(data), 50_000)]
        assert unpacked(b"".join(parts), tmp_path) == ["a", "b"]


def test_unusual_tars(tmp_path: Path) -> None:
    assert unpacked(tarred(item(b"a/", sort=b"\0"), item(b"a/b", b"x", sort=b"7")), tmp_path) == ["a/b"]
    assert unpacked(tarred(pax(b"comment=x", sort=b"g"), item(b"./"), item(b"./a", b"x")), tmp_path) == ["a"]
    assert unpacked(tarred(long(b"a" * 150), item(b"a" * 100, b"x")), tmp_path) == ["a" * 150]
    large = b"\x80" + (5).to_bytes(11, "big")
    assert unpacked(tarred(item(b"a", b"12345", size=large), item(b"b")), tmp_path) == ["a", "b"]
    assert unpacked(tarred(item(b"a/", sort=b"5"), item(b"a/", sort=b"5")), tmp_path) == []
    assert unpacked(tarred(), tmp_path) == unpacked(zipped(), tmp_path) == []


def test_links_that_stay_inside(tmp_path: Path) -> None:
    goals = {
        b"l/up": b"../f",
        b"l/missing": b"not/here",
        b"l/root": b"..",
        b"twice": b"l/root/l/up",
        b"same": b"./l/./up",
    }
    packed = tarred(*(item(name, sort=b"2", goal=goal) for name, goal in goals.items()), item(b"f", b"x"))
    assert sorted(unpacked(packed, tmp_path, links=True)) == ["f", "l/missing", "l/root", "l/up", "same", "twice"]
    for name, goal in goals.items():
        assert os.readlink(tmp_path / "target" / name.decode()) == goal.decode()  # noqa: PTH115 - which drops "./"
    assert (tmp_path / "target/twice").read_bytes() == b"x"


def test_a_folder_that_is_there_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()
    (tmp_path / "target/mine").write_text("mine")
    (tmp_path / "archive").write_bytes(zipped(Member(b"mine", b"yours")))
    with pytest.raises(FileExistsError):
        unpack(tmp_path / "archive", tmp_path / "target")
    assert (tmp_path / "target/mine").read_text() == "mine"


@pytest.mark.parametrize(
    "pack", [lambda data: zipped(Member(b"a", data), Member(b"b", data)), lambda data: tarred(item(b"a", data))]
)
def test_a_cancel_ends_it(pack: Callable[[bytes], bytes], tmp_path: Path) -> None:
    (tmp_path / "archive").write_bytes(pack(os.urandom(1 << 20)))
    calls = 0

    def check() -> None:
        nonlocal calls
        calls += 1
        if calls == 10:
            assert (tmp_path / "target/a").stat().st_size > 0
            raise InterruptedError

    opened = psutil.Process().num_fds()
    with pytest.raises(InterruptedError):
        unpack(tmp_path / "archive", tmp_path / "target", check=check)
    assert psutil.Process().num_fds() == opened
    assert calls == 10 and not (tmp_path / "target").exists()


def test_a_cancel_ends_what_gives_nothing(tmp_path: Path) -> None:
    """Deflate may go on for ever without a byte coming out."""
    packed = b"\0\0\0\xff\xff" * 200_000 + b"\3\0"
    (tmp_path / "archive").write_bytes(zipped(Member(b"a", method=8, packed=packed)))
    calls: list[None] = []
    unpack(tmp_path / "archive", tmp_path / "target", check=lambda: calls.append(None))
    assert len(calls) > 10 and (tmp_path / "target/a").stat().st_size == 0


def test_a_folder_swapped_for_a_link_leads_nowhere(tmp_path: Path) -> None:
    canary, target = tmp_path / "canary", tmp_path / "target"
    canary.mkdir()
    members = [Member(b"%s/%d" % (folder, n), b"x") for n in range(20) for folder in (b"a/b", b"a/c")]
    (tmp_path / "archive").write_bytes(zipped(*members))
    calls = 0

    def swap() -> None:
        nonlocal calls
        calls += 1
        if calls == 20:
            (target / "a").rename(target / "moved")
            (target / "a").symlink_to(canary)

    with pytest.raises(OSError):
        unpack(tmp_path / "archive", target, check=swap)
    assert calls >= 20 and not list(canary.iterdir()) and not target.exists()


MANY = zipped(*(Member(b"%d/%d/%d" % (n % 5, n % 7, n), b"x") for n in range(200)))


def test_all_is_synced_and_nothing_stays_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: set[int] = set()
    really = os.fsync

    def fsync(descriptor: int) -> None:
        really(descriptor)
        synced.add(os.fstat(descriptor).st_ino)

    monkeypatch.setattr(os, "fsync", fsync)
    opened = psutil.Process().num_fds()
    assert len(unpacked(MANY, tmp_path)) == 200
    target = tmp_path / "target"
    assert synced == {path.stat().st_ino for path in [target, *target.rglob("*")]}
    unpacked(
        tarred(item(b"a/b", b"x"), *(item(b"%d" % n, sort=b"1", goal=b"a/b") for n in range(9))), tmp_path, links=True
    )
    assert psutil.Process().num_fds() == opened


@pytest.mark.parametrize("number", [0, 100, 199])
def test_what_cannot_be_synced_is_not_there(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fsync(descriptor: int) -> None:
        if os.fstat(descriptor).st_size == 2:
            raise OSError(errno.EIO, "the disk is broken")

    monkeypatch.setattr(os, "fsync", fsync)
    opened = psutil.Process().num_fds()
    with pytest.raises(OSError, match="the disk is broken"):
        unpacked(zipped(*(Member(b"%d" % n, b"xx" if n == number else b"x") for n in range(200))), tmp_path)
    assert not (tmp_path / "target").exists() and psutil.Process().num_fds() == opened


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 1 MB."""
    need(os.geteuid() == 0, "the right to mount", "run the tests as root, or in a container of your own")
    folder = tmp_path / "disk"
    folder.mkdir()
    argv = ["mount", "-t", "tmpfs", "-o", "size=1m,nr_inodes=40", "tmpfs", str(folder)]
    mounted = subprocess.run(argv, capture_output=True, text=True, check=False)
    need(mounted.returncode == 0, "tmpfs", f"mount failed: {mounted.stderr}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk(small_disk: Path, tmp_path: Path) -> None:
    for data in (zipped(Member(b"a", bytes(2 << 20))), zipped(*(Member(b"%d/" % n, mode=0o040755) for n in range(50)))):
        (tmp_path / "archive").write_bytes(data)
        with pytest.raises(NoSpace):
            unpack(tmp_path / "archive", small_disk / "target")
        assert not list(small_disk.iterdir())


MEASURE = """
import resource, sys
from pathlib import Path
from zeus.unpack import unpack
small, large, target = map(Path, sys.argv[1:])
unpack(small, target / "small")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
unpack(large, target / "large")
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.parametrize("sort", ["zip", "tar.gz", "tar.xz"])
def test_large_files_take_little_memory(sort: str, tmp_path: Path) -> None:
    """200 MiB of which each 512 KiB repeat 16 KiB, so that they compress well but not beyond the ratio."""
    names = []
    for size in (1, 400):
        names.append(tmp_path / f"{size}.{sort}")
        with Repeating(size) as file:
            if sort == "zip":
                with zipfile.ZipFile(names[-1], "w", zipfile.ZIP_DEFLATED) as packed, packed.open("a", "w") as member:
                    shutil.copyfileobj(file, member)  # type: ignore[misc]
            else:
                head = tarfile.TarInfo("a")
                head.size = size << 19
                options = {"preset": 0} if sort == "tar.xz" else {"compresslevel": 1}
                with tarfile.open(names[-1], "w:" + sort[4:], **options) as made:  # type: ignore[call-overload]
                    made.addfile(head, file)
    argv = [sys.executable, "-c", MEASURE, *map(str, names), str(tmp_path)]
    grown = int(subprocess.run(argv, check=True, capture_output=True, text=True).stdout)
    assert (tmp_path / "large/a").stat().st_size == 200 << 20
    assert grown < 16 << 10, f"{grown} KiB"


class Repeating(io.RawIOBase):
    """So many times 512 KiB of 16 KiB that repeat, for readers that ask for 16 KiB or multiples of it."""

    def __init__(self, times: int) -> None:
        self._left = times << 19

    def read(self, size: int = -1) -> bytes:
        if not self._left % (1 << 19):
            self._same = os.urandom(1 << 14)
        size = min(size, self._left)
        self._left -= size
        return self._same * (size >> 14)


PIECES = (
    "/",
    "/",
    "\\",
    ".",
    "..",
    "../",
    "/..",
    "\0",
    "\n",
    " ",
    "a",
    "A",
    "ü",
    "u\u0308",
    "\u202e",
    "C:",
    "~",
    "%2f",
)
NASTY = st.lists(st.sampled_from([*PIECES, "con", "canary", "__MACOSX", "._", "é" * 130]), max_size=8).map("".join)
NAMES = st.lists(st.tuples(NASTY | st.text(max_size=12), st.sampled_from("filr"), NASTY), min_size=1, max_size=6)


def as_zip(entries: list[tuple[str, str, str]]) -> bytes:
    modes = {"f": 0o100644, "i": 0o040755, "l": 0o120777, "r": 0}
    return zipped(
        *(
            Member(
                name.encode("utf-8", "replace"), b"" if sort == "i" else goal.encode("utf-8", "replace"), modes[sort]
            )
            for name, sort, goal in entries
        )
    )


def as_tar(entries: list[tuple[str, str, str]]) -> bytes:
    parts = []
    for name, sort, goal in entries:
        raw, to = name.encode("utf-8", "replace"), goal.encode("utf-8", "replace")
        kind = {"f": b"0", "i": b"5", "l": b"2", "r": b"1"}[sort]
        parts += [long(raw), pax(b"linkpath=" + to), item(b"x", b"x" if sort == "f" else b"", sort=kind)]
    return tarred(*parts)


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a canary beside the target."""
    folder = tmp_path_factory.mktemp("yard")
    (folder / "canary").write_text("untouched")
    (folder / "a").mkdir()
    return folder


def stays_inside(entries: list[tuple[str, str, str]], folder: Path) -> None:
    target, archive = folder / "a" / "target", folder / "archive"
    shutil.rmtree(target, ignore_errors=True)  # of a failed example
    for data in (as_zip(entries), as_tar(entries)):
        for links in (False, True):
            archive.write_bytes(data)
            before = contents(folder)
            try:
                found = unpack(archive, target, links=links)
            except BadInput:
                assert contents(folder) == before
                continue
            assert all((target / path).is_symlink() or (target / path).is_file() for path in found)
            for path in target.rglob("*"):
                assert path.resolve().is_relative_to(target)
                assert links or not path.is_symlink()
            shutil.rmtree(target)
            assert contents(folder) == before


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(NAMES)
def test_no_name_leads_out(yard: Path, entries: list[tuple[str, str, str]]) -> None:
    stays_inside(entries, yard)


@pytest.mark.long
@pytest.mark.timeout(3600)
@settings(max_examples=20_000, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(NAMES)
def test_no_name_of_very_many_leads_out(yard: Path, entries: list[tuple[str, str, str]]) -> None:
    stays_inside(entries, yard)


FINE = [("a/b", "f", "text"), ("a/c/", "i", ""), ("l", "l", "a/b"), ("d ü", "f", "text" * 99)]
SEEDS = [
    as_zip(FINE),
    as_tar(FINE),
    gzip.compress(as_tar(FINE), mtime=0),
    lzma.compress(as_tar(FINE)),
    bz2.compress(as_tar(FINE)),
    zipped(*(Member(name, b"x" * 99, method=8, packed=deflated(b"x" * 99)) for name in (b"a", b"b"))),
]
CHANGES = st.lists(
    st.tuples(st.floats(0, 1, exclude_max=True), st.sampled_from([0, 1, 0x7F, 0x80, 0xFF]) | st.integers(0, 255)),
    max_size=4,
)


@settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(SEEDS), CHANGES, st.floats(0.2, 1) | st.just(1.0))
def test_damage_is_told_or_does_no_harm(
    yard: Path, seed: bytes, changes: list[tuple[float, int]], share: float
) -> None:
    data = bytearray(seed[: int(len(seed) * share)])
    for at, value in changes:
        data[int(at * len(data))] = value
    target, archive = yard / "a" / "target", yard / "archive"
    shutil.rmtree(target, ignore_errors=True)  # of a failed example
    archive.write_bytes(data)
    try:
        unpack(archive, target, links=True)
    except BadInput:
        assert not target.exists()
    else:
        assert all(path.resolve().is_relative_to(target) for path in target.rglob("*"))
        shutil.rmtree(target)
    assert (yard / "canary").read_text() == "untouched" and sorted(p.name for p in yard.iterdir()) == [
        "a",
        "archive",
        "canary",
    ]

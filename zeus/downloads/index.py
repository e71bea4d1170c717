"""What can be had: reading the folders, listings and sums of a place where versions are published."""

from __future__ import annotations

import html
import re
import time
from collections.abc import Iterable, Sequence

import msgspec
from yarl import URL

from zeus import versions
from zeus.downloads.fetching import Fetcher, Unreachable, shown
from zeus.engine import Archive, ReleaseSource

FRESH = 600.0
"""Seconds that a listing is good for."""
MOST_FOLDERS = 100
"""Folders that are looked into, the newest: Blender has about forty."""
WAIT = 20.0
"""Seconds that a listing may take."""
SUM = re.compile(r"^\\?([0-9A-Fa-f]{64})[ \t]+\*?(\S+)[ \t]*$", re.MULTILINE)


class Release(msgspec.Struct, frozen=True):
    """One version for one system: the archive's name, its URL and that of the file with its sha256."""

    version: str
    archive: Archive
    file: str
    url: str
    sums: str


class Index:
    """The place where one engine's versions are published."""

    def __init__(self, source: ReleaseSource, base: str, fetcher: Fetcher) -> None:
        self.source = source
        self._base = URL(base if base.endswith("/") else f"{base}/")
        self._fetcher = fetcher
        self._texts: dict[URL, tuple[float, str]] = {}

    @property
    def place(self) -> str:
        """Where it is, for people."""
        return shown(self._base)

    def archive(self, system: str, cpu: str) -> Archive | None:
        """What there is for a system, or None."""
        return next((each for each in self.source.archives if (each.system, each.cpu) == (system, cpu)), None)

    async def find(self, wish: str | None, archive: Archive, wait: float = WAIT) -> list[Release]:
        """The versions that a wish may mean, or all, the newest first. Raises Unreachable."""
        found: list[Release] = []
        for series, folder in await self._folders(wait):
            if not self._may_hold(series, wish):
                continue
            found += await self._releases(folder, archive, wait)
            if wish in (versions.LATEST, versions.LTS) and any(_is_final(each) for each in found):
                break  # folders come with the newest series first
        return [each for each in versions.newest_first(found, lambda each: each.version) if self._is_meant(each, wish)]

    async def best(self, wish: str, archive: Archive, wait: float = WAIT) -> Release | None:
        """The one version that a wish means, or None. Raises Unreachable."""
        found = await self.find(wish, archive, wait)
        # what is not final is latest only where there is nothing else
        ordered = [*filter(_is_final, found), *(each for each in found if not _is_final(each))]
        return versions.choose(ordered, wish, self.source.lts, lambda each: each.version)

    async def known(self, wait: float = WAIT) -> list[str]:
        """The series that there are, the newest first; for an error's message."""
        return [series for series, _ in await self._folders(wait) if series]

    async def sha256(self, release: Release) -> str | None:
        """An archive's published sha256 in hex, or None. Asked for anew each time. Raises Unreachable."""
        text = await self._fetcher.text(URL(release.sums), WAIT)
        return next((each[1].lower() for each in SUM.finditer(text) if each[2] == release.file), None)

    async def _folders(self, wait: float) -> list[tuple[str, URL]]:
        """Each series with its folder, the newest first."""
        if self.source.folder is None:
            return [("", self._base)]
        pattern = re.compile(self.source.folder)
        names = _links(await self._text(self._base, wait), self._base)
        matches = filter(None, map(pattern.fullmatch, names))
        found: dict[str, URL] = {match["series"]: self._base.join(URL(match[0])) for match in matches}
        if not found:
            raise Unreachable(f"{self.place} lists no versions.")
        return versions.newest_first(found.items(), lambda each: each[0])[:MOST_FOLDERS]

    async def _releases(self, folder: URL, archive: Archive, wait: float) -> list[Release]:
        """What one folder holds for a system."""
        is_list = "{version}" not in self.source.sums
        listing = folder.join(URL(self.source.sums)) if is_list else folder
        text = await self._text(listing, wait)
        names: Iterable[str] = (each[2] for each in SUM.finditer(text)) if is_list else _links(text, folder)
        found: dict[str, Release] = {}
        for match in filter(None, map(re.compile(archive.file).fullmatch, names)):
            version = match["version"]
            if versions.is_name(version):
                sums = folder.join(URL(self.source.sums.replace("{version}", version)))
                url = folder.join(URL(match[0]))
                found.setdefault(version, Release(version, archive, match[0], str(url), str(sums)))
        return [*found.values()]

    async def _text(self, url: URL, wait: float) -> str:
        read, text = self._texts.get(url, (0.0, ""))
        if not text or time.monotonic() > read + FRESH:
            text = await self._fetcher.text(url, wait)
            self._texts[url] = time.monotonic(), text
        return text

    def _may_hold(self, series: str, wish: str | None) -> bool:
        if wish is None or wish == versions.LATEST or not series:
            return True
        if wish == versions.LTS:
            return series in self.source.lts
        return versions.matches(series, wish) or versions.matches(wish, series)

    def _is_meant(self, release: Release, wish: str | None) -> bool:
        if wish is None or wish == versions.LATEST:
            return True
        wishes: Sequence[str] = self.source.lts if wish == versions.LTS else [wish]
        return any(versions.matches(release.version, each) for each in wishes)


def _is_final(release: Release) -> bool:
    return versions.parse(release.version).final


def _links(page: str, base: URL) -> list[str]:
    """The names in a listing of a folder: what its links lead to right below it, folders with a slash at the end."""
    found: dict[str, None] = {}
    for raw in re.findall(r"""href\s*=\s*["']([^"'<>\s]+)["']""", page, re.IGNORECASE):
        try:
            target = base.join(URL(html.unescape(raw)))
        except ValueError:
            continue
        name = target.path.removeprefix(base.path)
        if target.origin() == base.origin() and name != target.path and "/" not in name.removesuffix("/"):
            found[name] = None
    return [*found]

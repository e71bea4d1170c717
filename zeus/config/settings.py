"""The settings of a node: their types, defaults, bounds and descriptions."""

from __future__ import annotations

import re
import socket
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta
from platformdirs import user_data_path

from zeus.engine import ModelSettings
from zeus.engine.extras import checkout as checkout

MIB, GIB = 1024**2, 1024**3
NodeName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9._-]{1,63}$(?!\n)", title="1 to 63 letters, digits and . _ -")]
Texts = tuple[str, ...]


def host_name() -> str:
    """This machine's name with only the characters that a node's name may have."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", socket.gethostname()).strip("-")[:63] or "zeus"


class NodeConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """This node and its data"""

    name: Annotated[NodeName, Meta(description="What this node is called, by default as its machine")] = msgspec.field(
        default_factory=host_name
    )
    storage: Annotated[
        str, Meta(description="The folder of all data. Empty: storage/ in a checkout, else your user's data folder")
    ] = ""
    gpus: Annotated[
        str,
        Meta(
            pattern=r"^(auto|none|[0-9]{1,3}(,[0-9]{1,3})*)$",
            title="auto, none, or numbers with commas between such as 0,1",
            description="Which GPUs jobs may use, by number such as 0,1; or none. auto: all that are found",
        ),
    ] = "auto"
    debug: Annotated[bool, Meta(description="Log more, and answer under /api/_debug")] = False
    tags: Annotated[
        tuple[NodeName, ...],
        Meta(max_length=32, description="Words for what this node has; a job may ask for nodes that have its tags"),
    ] = ()


class HttpConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the node is reached"""

    host: Annotated[
        str, Meta(min_length=1, description="The address to listen on. 0.0.0.0 is all; past loopback it needs a token")
    ] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535, description="The port to listen on. 0 takes any that is free")] = 8080
    open: Annotated[bool, Meta(description="Ask for no token: whoever reaches the port may do everything")] = False
    certificate: Annotated[
        str, Meta(description="A PEM file with this node's certificate: with it the node speaks HTTPS alone")
    ] = ""
    key: Annotated[str, Meta(description="A PEM file with the certificate's key, where it is not in the same file")] = (
        ""
    )
    allowed_hosts: Annotated[Texts, Meta(description="More names that this node is reached by, such as a proxy's")] = ()
    max_json_bytes: Annotated[int, Meta(ge=1024, description="The largest JSON body")] = MIB
    max_upload_bytes: Annotated[int, Meta(ge=1, description="The largest upload")] = 100 * GIB
    body_timeout: Annotated[
        float, Meta(gt=0, le=86400, description="Seconds without a byte after which a request's body is given up")
    ] = 60.0
    header_timeout: Annotated[
        float, Meta(gt=0, le=3600, description="Seconds that a new connection has to send the head of a request")
    ] = 20.0
    max_connections: Annotated[
        int, Meta(ge=0, description="How many connections may be open. 0: what open files allow, less 256")
    ] = 0


class NetworkConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Other nodes"""

    discovery: Annotated[
        str,
        Meta(
            pattern="^(auto|on|off)$",
            title="auto, on or off",
            description="Announce this node by multicast and look for others. auto: when it listens beyond loopback",
        ),
    ] = "auto"
    interfaces: Annotated[
        Texts, Meta(description="The network interfaces of discovery, such as eth0. Empty: all that lead elsewhere")
    ] = ()
    peers: Annotated[
        # No "@": what would be before it is a secret, and the nodes' addresses are shown to whoever may look.
        tuple[
            Annotated[str, Meta(pattern=r"^https?://[^\s/@]+/?$(?!\n)", title="a URL such as http://render-1:8080")],
            ...,
        ],
        Meta(max_length=64, description="Nodes that multicast does not reach, such as http://render-1:8080"),
    ] = ()
    heartbeat: Annotated[
        float, Meta(ge=0.05, le=60, description="Seconds between two looks at a node; five missed: it is offline")
    ] = 2.0
    patience: Annotated[
        float,
        Meta(
            ge=0, le=300, description="Seconds that requests wait for the node that holds their job and has just gone"
        ),
    ] = 10.0
    lease: Annotated[
        float, Meta(gt=0, le=86400, description="Seconds without a sign of a node after which its work goes elsewhere")
    ] = 30.0
    grace: Annotated[
        float,
        Meta(ge=0, le=86400, description="Seconds besides that a node gets to answer after a start of this one"),
    ] = 60.0
    hold: Annotated[
        float, Meta(gt=0, le=31_536_000, description="Seconds that files made for another node wait to be fetched")
    ] = 86400.0
    ca: Annotated[
        str, Meta(description="A PEM file of certificates that are believed beside the system's, at other nodes")
    ] = ""


class JobsConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How jobs are run"""

    slots: Annotated[int, Meta(ge=1, le=1024, description="How many tasks run at once on this machine")] = 2
    max_attempts: Annotated[int, Meta(ge=1, le=100, description="How often a task is tried before its job fails")] = 3
    retry_delay: Annotated[
        float, Meta(ge=0, le=300, description="Seconds before another attempt, doubled each time, at most 300")
    ] = 5.0
    chunk_seconds: Annotated[
        float, Meta(ge=1, le=86400, description="Seconds that a piece of a job takes which is split over nodes")
    ] = 60.0


class FilesConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is read and kept"""

    local_roots: Annotated[
        Texts, Meta(description="Folders whose files a job from this machine may name instead of uploading them")
    ] = ()
    log_bytes: Annotated[int, Meta(ge=4096, description="The length that a job's log is cut to")] = 16 * MIB


class PluginsConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Engines"""

    own: Annotated[
        bool, Meta(description="Load Zeus's own engines. false: a node that only gives jobs to others needs none")
    ] = True
    folders: Annotated[Texts, Meta(description="More folders of engines, searched after Zeus's own")] = ()


class GenerateConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Video from a prompt"""

    engine: Annotated[str, Meta(min_length=1, description="The engine behind /api/generate")] = "video"
    unload_after: Annotated[
        float,
        Meta(ge=0, le=31_536_000, description="Seconds without a job after which a model leaves memory. 0: never"),
    ] = 600.0


class EngineConfig(msgspec.Struct, frozen=True):
    """An engine's settings that are Zeus's own; the rest is the engine's"""

    slots: Annotated[int, Meta(ge=1, le=1024, description="How many of this engine's tasks run at once")] = 1
    mirror: Annotated[
        str,
        Meta(
            pattern=r"^(https?://[^\s/]\S*)?$",
            title="a URL that begins with https:// or http://",
            description="Where its versions are fetched from, laid out as their publisher does it. Empty: from there",
        ),
    ] = ""
    auto_install: Annotated[bool, Meta(description="Install the version that a job asks for and that is not here")] = (
        False
    )


class PathConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A folder that several machines see, by the path that it has on each system"""

    linux: Annotated[str, Meta(description="Where it is on Linux")] = ""
    windows: Annotated[str, Meta(description="Where it is on Windows")] = ""
    macos: Annotated[str, Meta(description="Where it is on macOS")] = ""


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All settings of a node."""

    node: NodeConfig = msgspec.field(default_factory=NodeConfig)
    http: HttpConfig = msgspec.field(default_factory=HttpConfig)
    network: NetworkConfig = msgspec.field(default_factory=NetworkConfig)
    jobs: JobsConfig = msgspec.field(default_factory=JobsConfig)
    files: FilesConfig = msgspec.field(default_factory=FilesConfig)
    plugins: PluginsConfig = msgspec.field(default_factory=PluginsConfig)
    generate: GenerateConfig = msgspec.field(default_factory=GenerateConfig)
    engines: dict[str, dict[str, Any]] = msgspec.field(default_factory=dict)
    """[engines.NAME]: the fields of EngineConfig, the rest is the engine's own."""
    models: dict[str, ModelSettings] = msgspec.field(default_factory=dict)
    """[models.NAME]"""
    paths: dict[str, PathConfig] = msgspec.field(default_factory=dict)
    """[paths.NAME]"""

    def engine(self, name: str) -> EngineConfig:
        """Zeus's own settings of one engine."""
        return msgspec.convert(self.engines.get(name, {}), EngineConfig, strict=False)

    @property
    def storage_path(self) -> Path:
        """The storage folder, absolute."""
        if self.node.storage:
            return Path(self.node.storage).expanduser().absolute()
        base = checkout()
        return base / "storage" if base else user_data_path("zeus")


class Settings(msgspec.Struct, frozen=True):
    """The settings in force, and for each its origin: "default", the file's name, a variable or a flag."""

    config: Config
    origins: dict[str, str]


NAMED = ("engines", "models", "paths")
"""The sections that have a section for each of what they are about."""
MODEL_SETTINGS: dict[str, Any] = {field.name: field.type for field in msgspec.structs.fields(ModelSettings)}
"""[models.NAME]: the types of all settings."""
PATH_SETTINGS: dict[str, Any] = {field.name: field.type for field in msgspec.structs.fields(PathConfig)}
"""[paths.NAME]: the types of all settings."""
ENGINE_SETTINGS: dict[str, Any] = {field.name: field.type for field in msgspec.structs.fields(EngineConfig)}
"""[engines.NAME]: the types of the settings that are Zeus's own."""
SECTIONS: dict[str, dict[str, Any]] = {
    section.name: {field.name: field.type for field in msgspec.structs.fields(section.type)}
    for section in msgspec.structs.fields(Config)
    if section.name not in NAMED
}
"""The types of all settings, by section and key; engines have their own."""

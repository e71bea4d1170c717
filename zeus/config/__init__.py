"""The settings of a node, and where each one in force came from."""

from zeus.config.example import example
from zeus.config.settings import (
    Config,
    EngineConfig,
    FilesConfig,
    GenerateConfig,
    HttpConfig,
    JobsConfig,
    NetworkConfig,
    NodeConfig,
    PluginsConfig,
    Settings,
    checkout,
)
from zeus.config.sources import default_file, load

__all__ = [
    "Config",
    "EngineConfig",
    "FilesConfig",
    "GenerateConfig",
    "HttpConfig",
    "JobsConfig",
    "NetworkConfig",
    "NodeConfig",
    "PluginsConfig",
    "Settings",
    "checkout",
    "default_file",
    "example",
    "load",
]

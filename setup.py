"""Packaging: `zeus`, and `plugins/` mapped to `zeus_plugins`."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = re.search(r'__version__ = "(.+)"', (HERE / "zeus/__init__.py").read_text())[1]

setup(
    name="zeus-node",
    version=VERSION,
    description="A self-hosted node for rendering, transcoding and AI video generation",
    long_description=(HERE / "README.md").read_text(),
    long_description_content_type="text/markdown",
    license="MIT",
    python_requires=">=3.11",
    packages=[*find_packages(include=["zeus", "zeus.*"]), "zeus_plugins"]
    + [f"zeus_plugins.{name}" for name in find_packages("plugins")],
    package_dir={"zeus_plugins": "plugins"},
    package_data={
        "zeus": ["py.typed", "*.yaml", "api/*.css", "site/**/*"],
        "zeus_plugins.blender": ["scripts/*.py"],
    },
    install_requires=[
        "aiohttp>=3.14.5",
        "aiofiles>=24.1",
        "aiosqlite>=0.22",
        "zeroconf>=0.150",
        "psutil>=6.0",
        "numpy>=1.26",
        "msgspec>=0.20",
        "av>=15.0",
        "pillow>=11.0",
        "OpenEXR>=3.4",
        "imageio-ffmpeg>=0.6",
        "zipstream-ng>=1.9",
        "typer>=0.15",
        "rich>=13.0",
        "platformdirs>=4.0",
        "pyyaml>=6.0",
    ],
    extras_require={
        "inference": [
            "torch>=2.10",
            "diffusers>=0.38",
            "transformers>=4.57",
            "accelerate>=1.10",
            "huggingface_hub>=1.0",
            "safetensors>=0.8",
            "sentencepiece>=0.2",
            "ftfy>=6.3",
        ],
        "test": [
            "pytest>=8.3",
            "pytest-aiohttp>=1.1",
            "pytest-timeout>=2.3",
            "pytest-xdist>=3.6",
            "hypothesis>=6.100",
            "schemathesis>=4.30",
            "playwright>=1.50",
            "ruff>=0.12",
            "mypy>=1.15",
            "requests>=2.32",
            "openai>=3.54,<4",
            "types-aiofiles",
            "types-psutil",
            "types-PyYAML",
            "types-requests",
        ],
    },
    entry_points={"console_scripts": ["zeus=zeus.cli:main"]},
)

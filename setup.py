"""Packaging: metadata and console scripts. Run-time dependencies are pyzmq and psutil, nothing else."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = re.search(r'^__version__ = "([^"]+)"', (HERE / "circus" / "__init__.py").read_text(), re.M)
assert VERSION

setup(
    name="circus",
    version=VERSION[1],
    description="A process and socket manager: start, watch, restart and drive programs, from Python or a shell",
    long_description=(HERE / "README.md").read_text() if (HERE / "README.md").exists() else "",
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.11",
    packages=find_packages(include=["circus", "circus.*"]),
    package_data={"circus": ["py.typed"]},
    install_requires=["pyzmq>=25", "psutil>=5.9"],
    extras_require={
        "green": ["gevent"],
        "redis": ["redis"],  # for the plugin RedisObserver
        "yaml": ["pyyaml"],  # --logger-config with a .yaml file
        "test": [
            *("pytest>=8", "pytest-xdist>=3.5", "hypothesis>=6.100", "coverage[toml]>=7.10"),
            *("gunicorn>=27", "tornado>=6.4", "uvicorn>=0.30", "waitress>=3.0"),  # programs that tests run
            *("mypy>=1.10", "ruff>=0.6", "types-psutil"),
        ],
    },
    entry_points={
        "console_scripts": [
            "circusd = circus.circusd:main",
            "circusctl = circus.circusctl:main",
            "circus-plugin = circus.plugins:main",
            "circus-top = circus.stats.client:main",
            "circusd-stats = circus.stats:main",
        ]
    },
    classifiers=[
        "License :: OSI Approved :: Apache Software License",
        "Operating System :: POSIX",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: System :: Boot :: Init",
        "Topic :: System :: Monitoring",
    ],
)

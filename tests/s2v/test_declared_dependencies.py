"""What the packages import is what setup.cfg asks for: nothing is there only because another package needs it."""

import ast
import re
import sys
from configparser import ConfigParser
from importlib.metadata import packages_distributions

from tests.conftest import REPOSITORY

PACKAGES = ("s2v", "data_modules", "callbacks")
NOT_ALWAYS_INSTALLED = {"dlib": ["dlib-bin"]}


def imported() -> set[str]:
    """Top-level names of all imports, wherever in a file they stand."""
    names: set[str] = set()
    for package in PACKAGES:
        for path in (REPOSITORY / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Import):
                    names |= {alias.name.split(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                    names.add(node.module.split(".")[0])
    return names - {*PACKAGES, *sys.stdlib_module_names}


def declared() -> set[str]:
    """Distributions of install_requires and the extras, as pip compares names."""
    config = ConfigParser()
    config.read(REPOSITORY / "setup.cfg")
    lists = [config["options"]["install_requires"], *config["options.extras_require"].values()]
    found = re.findall(r"^\s*([\w.-]+)", "\n".join(lists), re.MULTILINE)
    return {re.sub(r"[-_.]+", "-", name).lower() for name in found}


def test_every_import_is_declared() -> None:
    distributions = NOT_ALWAYS_INSTALLED | dict(packages_distributions())
    missing = {
        name
        for name in imported()
        if not {re.sub(r"[-_.]+", "-", one).lower() for one in distributions.get(name, [name])} & declared()
    }
    assert not missing

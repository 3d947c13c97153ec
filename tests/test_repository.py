"""Promises of the repository itself: what it declares, what it imports, what it must never name."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
OURS = {"operators", "pipelines", "cluster", "tests", "benchmarks"}
GENERATED = {"__pycache__", "build", "dist", "runs", "gristmill.egg-info"}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]

# Written so that this file does not match itself.
REGISTRY_HOST = re.compile(
    r"\b(pypi|test\.pypi|pythonhosted|anaconda|npmjs|crates|docker|ghcr|quay)[.](org|com|io|dev)\b"
)
TORCH_INDEX_HOST = re.compile(r"\bdownload[.]pytorch[.]org\b")
HOME_OF_A_DEVELOPER = re.compile(r"(?<![\w.~$:/-])/(root|work|home/\w+|Users/\w+)/[\w.]")


def pins() -> dict[str, str]:
    lines = [line for line in (ROOT / "requirements-cpu.txt").read_text().splitlines() if not line.startswith("#")]
    return dict(line.split("==") for line in lines)


def declared(*extras: str) -> dict[str, Requirement]:
    lines = PROJECT["dependencies"] + [line for extra in extras for line in EXTRAS[extra]]
    return {canonicalize_name(Requirement(line).name): Requirement(line) for line in lines}


def our_files(*suffixes: str) -> Iterator[Path]:
    for top in ROOT.iterdir():
        if top.name in GENERATED or (top.name.startswith(".") and top.name not in (".ci", ".gitignore")):
            continue
        for path in [top] if top.is_file() else top.rglob("*"):
            if path.is_file() and not GENERATED & set(path.parts) and (not suffixes or path.suffix in suffixes):
                yield path


def imported_packages(path: Path) -> set[str]:
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module for node in nodes if isinstance(node, ast.ImportFrom) and not node.level]
    return {name.split(".")[0] for name in names} - OURS - sys.stdlib_module_names


def undeclared_imports(folders: list[str], extras: list[str]) -> dict[str, set[str]]:
    allowed, owners, found = set(declared(*extras)), packages_distributions(), {}
    for path in our_files(".py"):
        if path.relative_to(ROOT).parts[0] in folders:
            for package in imported_packages(path):
                if not allowed & {canonicalize_name(owner) for owner in owners.get(package, [package])}:
                    found.setdefault(package, set()).add(str(path.relative_to(ROOT)))
    return found


def test_the_pin_list_holds_every_declared_dependency_at_the_declared_version():
    exact = {name: version.removesuffix("+cpu") for name, version in pins().items()}
    for name, requirement in declared("cpu", "quickstart", "dev").items():
        assert str(requirement.specifier) == f"=={exact.get(name)}", f"{requirement} against requirements-cpu.txt"


def test_the_pin_list_is_in_order_and_names_no_build_that_breaks_a_cpu_torch():
    names = list(pins())
    assert names == sorted(names)
    assert not {"torchvision", "torchaudio", "torchcodec", "triton"} & set(names)


def test_every_package_that_the_code_imports_is_declared():
    assert undeclared_imports(["operators", "pipelines", "cluster"], ["cpu", "quickstart"]) == {}


def test_every_package_that_tests_and_benchmarks_import_is_declared():
    assert undeclared_imports(["tests", "benchmarks"], ["cpu", "quickstart", "dev"]) == {}


def test_no_file_names_a_package_registry_or_the_home_of_a_developer():
    found = [
        f"{path.relative_to(ROOT)}: {match.group()}"
        for path in our_files()
        for pattern in (REGISTRY_HOST, TORCH_INDEX_HOST, HOME_OF_A_DEVELOPER)
        for match in pattern.finditer(path.read_text(encoding="utf-8", errors="replace"))
    ]
    assert not found


def test_ci_runs_the_test_command_of_the_readme():
    for name in ("README.md", ".ci/run"):
        assert re.search(r"\bmake test\b", (ROOT / name).read_text()), f"{name} does not say `make test`"

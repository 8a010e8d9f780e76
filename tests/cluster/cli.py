"""The command line of the development cluster."""

import argparse
import json
import os
import sys
import time
from pathlib import Path

from tests.cluster.config import load
from tests.cluster.driver import Build, Driver, Status
from tests.cluster.embedded import Embedded
from tests.cluster.errors import ClusterError
from tests.cluster.images import extra
from tests.cluster.kind import Kind, docker_answers

INTERRUPTED = 130


def main(argv: list[str]) -> int:
    """Run one command; returns the exit code."""
    arguments = parser().parse_args(argv)
    try:
        return int(dispatch(choose_driver(arguments), arguments))
    except ClusterError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # whoever read the output, such as `head`, has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        print("interrupted: `up` goes on where it was, `down` takes away what there is", file=sys.stderr)
        return INTERRUPTED


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="python3 tests/cluster", description="The development cluster.")
    top.add_argument("--driver", choices=["auto", "embedded", "kind"], default="auto",
                     help="auto: kind where a Docker engine answers, else embedded")  # fmt: skip
    top.add_argument(
        "--instance",
        type=int,
        default=os.environ.get("CIJOB_DEV_INSTANCE", "0"),
        help="number of a separate cluster beside the usual one, 0 to 9 (default: $CIJOB_DEV_INSTANCE, or 0)",
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    up = commands.add_parser("up", help="bring the cluster up, or repair it")
    up.add_argument("--nodes", type=int, help="number of nodes (default: as before, or 1)")
    up.add_argument("--images", help="stand-in images to provide, separated by commas (default: all)")
    up.add_argument("--vm", action="store_true", help="add a node that is a virtual machine with cgroup v2")
    down = commands.add_parser("down", help="take the cluster away, keeping caches")
    down.add_argument("--purge", action="store_true", help="forget the cluster's stored images too")
    status = commands.add_parser("status", help="what runs, and where its files are")
    status.add_argument("--output", choices=["text", "json"], default="text")
    commands.add_parser("kubeconfig", help="print the path of the administrator's kubeconfig")
    build = commands.add_parser("build-image", help="build a Dockerfile, without a daemon")
    build.add_argument("--tag", required=True, help="name of the image, such as cijob/operator:dev")
    build.add_argument("--file", type=Path, help="the Dockerfile (default: CONTEXT/Dockerfile)")
    build.add_argument("--build-arg", action="append", default=[], metavar="NAME=VALUE")
    build.add_argument(
        "--unless-present", action="store_true",
        help="do nothing if the cluster's registry has the tag (for tags that name the content)",
    )  # fmt: skip
    build.add_argument("context", type=Path, metavar="CONTEXT", help="folder that the Dockerfile copies from")
    image = commands.add_parser("load-image", help="give an image to the cluster")
    image.add_argument("image", metavar="ARCHIVE_OR_TAG", help="an image archive, or the tag of a built image")
    extras = commands.add_parser("stand-ins", help="provide stand-in images that only tests need")
    extras.add_argument("names", nargs="*", metavar="NAME", help=f"default: all of {', '.join(extra.NAMES)}")
    return top


def choose_driver(arguments: argparse.Namespace) -> Driver:
    wanted = arguments.driver
    if wanted == "auto":
        wanted = "kind" if docker_answers() else "embedded"
    config = load(arguments.instance)
    return Kind(config) if wanted == "kind" else Embedded(config)


def dispatch(driver: Driver, arguments: argparse.Namespace) -> int:
    """Do what the command says; returns the exit code."""
    command: str = arguments.command
    match command:
        case "up":
            bring_up(driver, arguments)
        case "down":
            driver.down(purge=arguments.purge)
        case "status":
            return show(driver.status(), arguments.output)
        case "kubeconfig":
            print(driver.kubeconfig())
        case "build-image":
            driver.build_image(build_of(arguments))
        case "stand-ins":
            extra.check(arguments.names)
            driver.stand_ins(arguments.names or list(extra.NAMES))
        case _:
            print(driver.load_image(arguments.image))
    return 0


def build_of(arguments: argparse.Namespace) -> Build:
    """What is to be built."""
    return Build(
        context=arguments.context,
        dockerfile=arguments.file or arguments.context / "Dockerfile",
        tag=arguments.tag,
        arguments=tuple(arguments.build_arg),
        unless_present=arguments.unless_present,
    )


def bring_up(driver: Driver, arguments: argparse.Namespace) -> None:
    """Bring the cluster up and say how long it took."""
    start = time.monotonic()
    driver.up(arguments.nodes, arguments.images.split(",") if arguments.images else None, vm=arguments.vm)
    print(f"cluster ready after {time.monotonic() - start:.1f} s; export KUBECONFIG={driver.kubeconfig()}")


def show(status: Status, output: str) -> int:
    """Print the status; the exit code says whether the cluster is ready."""
    if output == "json":
        print(json.dumps(status.as_dict(), indent=1))
    else:
        for name, value in status.as_dict().items():
            print(f"{name + ':':17}{value}")
    return 0 if status.ready else 1

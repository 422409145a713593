"""Turns protos/sonic into the committed stubs and judges the schemas; knows no message by name.

python protos/generate.py             write protos/stubs/sonic
python protos/generate.py --check     stubs are fresh, buf lint, format and breaking are clean; writes nothing
python protos/generate.py --release   write protos/release.binpb: what later schemas must stay compatible with
"""

import argparse
import filecmp
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

from google.api import annotations_pb2
from google.protobuf import (
    descriptor_pb2,
    duration_pb2,
    empty_pb2,
    field_mask_pb2,
    struct_pb2,
    timestamp_pb2,
    wrappers_pb2,
)
from google.protobuf.descriptor import FileDescriptor
from google.rpc import error_details_pb2, status_pb2
from protovalidate._gen.buf.validate import validate_pb

PROTOS = Path(__file__).resolve().parent
STUBS = PROTOS / "stubs"
RELEASE = PROTOS / "release.binpb"
DEPENDENCIES = (
    descriptor_pb2,
    duration_pb2,
    empty_pb2,
    field_mask_pb2,
    struct_pb2,
    timestamp_pb2,
    wrappers_pb2,
    annotations_pb2,
    status_pb2,
    error_details_pb2,
)
NOTE = '"""Generated from protos/sonic by `make protos`; never edited."""\n'


class Failed(Exception):
    """A step said no; its words are the message."""


def main() -> int:
    """Exit code 0 when everything asked for was done and clean, else 1 with the reasons on stderr."""
    parser = argparse.ArgumentParser(description="Generate and check the protobuf stubs.")
    action = parser.add_mutually_exclusive_group()
    action.add_argument("--check", action="store_true", help="fail on drift or unclean schemas")
    action.add_argument("--release", action="store_true", help="record the present schemas as released")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sonic-protos-") as scratch:
        try:
            act(Path(scratch), check=asked.check, release=asked.release)
        except Failed as failure:
            print(failure, file=sys.stderr)
            return 1
    return 0


def act(scratch: Path, *, check: bool, release: bool) -> None:
    """Generates into a scratch folder, then compares, installs or records."""
    fresh = scratch / "stubs"
    image = scratch / "image.binpb"
    generate(fresh, image, wheel_descriptors(scratch))
    if check:
        problems = [*drift(fresh / "sonic", STUBS / "sonic"), *judge(image)]
        if problems:
            raise Failed("\n".join(problems))
    elif release:
        record(image)
    else:
        install(fresh / "sonic", STUBS / "sonic")


def wheel_descriptors(scratch: Path) -> Path:
    """Writes the schemas we import, as their wheels carry them, and returns the file."""
    found: dict[str, descriptor_pb2.FileDescriptorProto] = {}
    for module in DEPENDENCIES:
        collect(module.DESCRIPTOR, found)
    rules = descriptor_pb2.FileDescriptorProto.FromString(validate_pb.desc().proto.to_binary())
    found[rules.name] = rules
    path = scratch / "wheels.binpb"
    path.write_bytes(descriptor_pb2.FileDescriptorSet(file=found.values()).SerializeToString())
    return path


def collect(file: FileDescriptor, found: dict[str, descriptor_pb2.FileDescriptorProto]) -> None:
    """Adds a file after everything it imports."""
    if file.name in found:
        return
    for dependency in file.dependencies:
        collect(dependency, found)
    found[file.name] = descriptor_pb2.FileDescriptorProto.FromString(file.serialized_pb)


def sources() -> list[str]:
    """Every schema of ours, relative to protos/."""
    return sorted(path.relative_to(PROTOS).as_posix() for path in (PROTOS / "sonic").rglob("*.proto"))


def generate(out: Path, image: Path, wheels: Path) -> None:
    """Runs protoc with the python, grpc, mypy and mypy-grpc generators."""
    out.mkdir()
    scripts = Path(sysconfig.get_path("scripts"))
    run(
        sys.executable,
        "-m",
        "grpc_tools.protoc",
        f"--descriptor_set_in={wheels}",
        f"--proto_path={PROTOS}",
        f"--plugin=protoc-gen-mypy={scripts / 'protoc-gen-mypy'}",
        f"--plugin=protoc-gen-mypy_grpc={scripts / 'protoc-gen-mypy_grpc'}",
        f"--python_out={out}",
        f"--grpc_python_out={out}",
        f"--mypy_out=quiet:{out}",
        f"--mypy_grpc_out=quiet,only_async:{out}",
        f"--descriptor_set_out={image}",
        "--include_imports",
        "--include_source_info",
        *sources(),
        silent=True,
    )
    for folder in [out / "sonic", *(path for path in (out / "sonic").rglob("*") if path.is_dir())]:
        (folder / "__init__.py").write_text(NOTE)
    (out / "sonic" / "py.typed").touch()
    (out / "sonic" / "source.binpb").write_bytes(commented(image))


def commented(image: Path) -> bytes:
    """The image of our own files alone: the comments, for those who show them."""
    whole = descriptor_pb2.FileDescriptorSet.FromString(image.read_bytes())
    ours = [file for file in whole.file if file.name.startswith("sonic/")]
    return descriptor_pb2.FileDescriptorSet(file=ours).SerializeToString(deterministic=True)


def run(*command: str, silent: bool = False) -> None:
    """Runs a tool; any failure, or any word from one that should be silent (a warning), is a failure."""
    done = subprocess.run(command, cwd=PROTOS, capture_output=True, text=True, check=False)
    words = (done.stdout + done.stderr).strip()
    if done.returncode != 0 or (silent and words):
        raise Failed(words or f"{Path(command[0]).name} failed with exit code {done.returncode}")


def drift(fresh: Path, committed: Path) -> Iterator[str]:
    """Names every stub that is missing, stale or left over."""
    ours, theirs = listing(fresh), listing(committed)
    for name in sorted(ours | theirs):
        if name not in theirs:
            yield f"protos/stubs/sonic/{name}: missing; run `make protos`"
        elif name not in ours:
            yield f"protos/stubs/sonic/{name}: no schema makes it; run `make protos`"
        elif not filecmp.cmp(fresh / name, committed / name, shallow=False):
            yield f"protos/stubs/sonic/{name}: differs from its schema; run `make protos`"


def listing(root: Path) -> set[str]:
    """The files under a folder, byte code left out."""
    paths = (path for path in root.rglob("*") if path.is_file() and path.suffix != ".pyc")
    return {path.relative_to(root).as_posix() for path in paths}


def install(fresh: Path, committed: Path) -> None:
    """Replaces the committed stubs."""
    if committed.exists():
        shutil.rmtree(committed)
    shutil.copytree(fresh, committed)


def judge(image: Path) -> Iterator[str]:
    """Lint, format and breaking rules of buf.yaml, one text each that fails."""
    if not RELEASE.exists():
        yield "protos/release.binpb: missing; nothing to stay compatible with"
        return
    # The image holds our imports too; only our own files are judged.
    checks = (
        ("lint", str(image), "--path", "sonic"),
        ("format", "--diff", "--exit-code"),
        ("breaking", str(image), "--against", str(RELEASE), "--path", "sonic"),
    )
    for name, *rest in checks:
        try:
            run(buf(), name, *rest)
        except Failed as failure:
            yield f"buf {name}:\n{failure}"


def buf() -> str:
    """The buf of this environment, else the one on the path."""
    own = Path(sysconfig.get_path("scripts")) / "buf"
    return str(own) if own.exists() else "buf"


def record(image: Path) -> None:
    """Keeps the schemas without comments: compatibility reads only shapes."""
    schemas = descriptor_pb2.FileDescriptorSet.FromString(image.read_bytes())
    for file in schemas.file:
        file.ClearField("source_code_info")
    RELEASE.write_bytes(schemas.SerializeToString(deterministic=True))


if __name__ == "__main__":
    sys.exit(main())

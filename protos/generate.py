"""Turns protos/sonic into the committed stubs and image, and judges the schemas.

python protos/generate.py               write protos/stubs/sonic and protos/sonic.binpb
python protos/generate.py --check       both are fresh; buf lint, format, breaking are clean
python protos/generate.py --release     write protos/release.binpb, which later schemas must suit;
                                        a breaking change is refused unless --breaking says why
python protos/generate.py --export DIR  write a folder of sources for any protobuf tool
"""

import argparse
import filecmp
import importlib
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

import call_rules
import google.api
import google.rpc
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
from google.rpc import code_pb2, error_details_pb2, status_pb2
from proto_text import proto_text
from protovalidate._gen.buf.validate import validate_pb

PROTOS = Path(__file__).resolve().parent
STUBS = PROTOS / "stubs"
# Everything a client needs in one file: our schemas with their comments, and all they import.
IMAGE = PROTOS / "sonic.binpb"
RELEASE = PROTOS / "release.binpb"
# RPCs that are not in the release yet, and so may still change.
UNRELEASED = PROTOS / "unreleased.txt"
# Who may call which RPC.
CALLERS = PROTOS / "callers.txt"
UNRELEASED_NOTE = "# RPCs that no release holds yet; `make release` empties this list.\n"
CHANGELOG = PROTOS.parent / "CHANGELOG.md"
RULES_NAME = "buf/validate/validate.proto"
RULES_NOTE = (
    "// From the descriptor in the protovalidate package (Apache-2.0); its comments are "
    "not in there.\n"
)
# What a refusal is made of; no schema of ours imports it, and every client needs it.
REFUSALS = ("google/rpc/code.proto", "google/rpc/error_details.proto", "google/rpc/status.proto")
ANNOTATIONS = ("google/api/annotations.proto", "google/api/http.proto")
EXPORTED_BUF = """version: v2
modules:
  - path: .
lint:
  use: [STANDARD]
  except: [RPC_RESPONSE_STANDARD_NAME, RPC_REQUEST_RESPONSE_UNIQUE]
  ignore: [buf, google]
"""
DEPENDENCIES = (
    descriptor_pb2,
    duration_pb2,
    empty_pb2,
    field_mask_pb2,
    struct_pb2,
    timestamp_pb2,
    wrappers_pb2,
    annotations_pb2,
    code_pb2,
    status_pb2,
    error_details_pb2,
)
NOTE = '"""Generated from protos/sonic by `make protos`; never edited."""\n'


class Failed(Exception):
    """A step said no; its words are the message."""


def main() -> int:
    """Exit code 0 when everything asked for was done and clean,
    else 1 with the reasons on stderr."""
    parser = argparse.ArgumentParser(description="Generate and check the protobuf stubs.")
    action = parser.add_mutually_exclusive_group()
    action.add_argument("--check", action="store_true", help="fail on drift or unclean schemas")
    action.add_argument(
        "--release", action="store_true", help="record the present schemas as released"
    )
    action.add_argument(
        "--export", type=Path, metavar="DIR", help="write sources with everything they import"
    )
    parser.add_argument(
        "--breaking", default="", metavar="REASON", help="release a breaking change, saying why"
    )
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sonic-protos-") as scratch:
        try:
            if asked.export:
                export(Path(scratch), asked.export)
            else:
                act(
                    Path(scratch),
                    check=asked.check,
                    release=asked.release,
                    breaking=asked.breaking.strip(),
                )
        except Failed as failure:
            print(failure, file=sys.stderr)
            return 1
    return 0


def act(scratch: Path, *, check: bool, release: bool, breaking: str = "") -> None:
    """Generates into a scratch folder, then compares, installs or records."""
    fresh = scratch / "stubs"
    image = scratch / "image.binpb"
    wheels = wheel_descriptors(scratch)
    describe(image, wheels)
    generate(fresh, image, wheels)
    if check:
        problems = [*drift(fresh / "sonic", STUBS / "sonic"), *judge(image)]
        if not IMAGE.exists() or not filecmp.cmp(image, IMAGE, shallow=False):
            problems.append("protos/sonic.binpb: differs from the schemas; run `make protos`")
        if problems:
            raise Failed("\n".join(problems))
    elif release:
        record(image, breaking)
    else:
        install(fresh / "sonic", STUBS / "sonic")
        shutil.copyfile(image, IMAGE)


def describe(image: Path, wheels: Path) -> None:
    """Writes the image: our schemas with their comments, all they import, and the messages of
    refusals.
    """
    run(
        *protoc(wheels),
        f"--descriptor_set_out={image}",
        "--include_imports",
        "--include_source_info",
        *sources(),
        *REFUSALS,
        silent=True,
    )


def protoc(wheels: Path) -> tuple[str, ...]:
    """The compiler, told where schemas are found."""
    return (
        sys.executable,
        "-m",
        "grpc_tools.protoc",
        f"--descriptor_set_in={wheels}",
        f"--proto_path={PROTOS}",
    )


def export(scratch: Path, to: Path) -> None:
    """Writes our sources and all they import but Google's well-known types, which every tool
    brings.
    """
    importlib.import_module("buf.validate.validate_pb2")  # so that options of its kinds can be read
    wheels = descriptor_pb2.FileDescriptorSet.FromString(
        wheel_descriptors(scratch).read_bytes()
    ).file
    rules = next(file for file in wheels if file.name == RULES_NAME)
    if (to / "sonic").exists():
        shutil.rmtree(to / "sonic")
    for name in sources():
        write(to / name, (PROTOS / name).read_text())
    for name in (*ANNOTATIONS, *REFUSALS):
        module = google.api if name in ANNOTATIONS else google.rpc
        write(to / name, (Path(next(iter(module.__path__))) / Path(name).name).read_text())
    write(to / RULES_NAME, RULES_NOTE + proto_text(rules))
    write(to / "buf.yaml", EXPORTED_BUF)


def write(path: Path, text: str) -> None:
    """A text file, with its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


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
    return sorted(
        path.relative_to(PROTOS).as_posix() for path in (PROTOS / "sonic").rglob("*.proto")
    )


def generate(out: Path, image: Path, wheels: Path) -> None:
    """Runs protoc with the python, grpc, mypy and mypy-grpc generators."""
    out.mkdir()
    scripts = Path(sysconfig.get_path("scripts"))
    run(
        *protoc(wheels),
        f"--plugin=protoc-gen-mypy={scripts / 'protoc-gen-mypy'}",
        f"--plugin=protoc-gen-mypy_grpc={scripts / 'protoc-gen-mypy_grpc'}",
        f"--python_out={out}",
        f"--grpc_python_out={out}",
        f"--mypy_out=quiet:{out}",
        f"--mypy_grpc_out=quiet,only_async:{out}",
        *sources(),
        silent=True,
    )
    for folder in [out / "sonic", *(path for path in (out / "sonic").rglob("*") if path.is_dir())]:
        (folder / "__init__.py").write_text(NOTE)
    (out / "sonic" / "py.typed").touch()
    (out / "sonic" / "source.binpb").write_bytes(commented(image))
    (out / "sonic" / "callers.py").write_text(callers(image))


def callers(image: Path) -> str:
    """The table of who may call what, as Python; every RPC of ours has its rule."""
    files = descriptor_pb2.FileDescriptorSet.FromString(image.read_bytes()).file
    methods = [
        f"{file.package}.{service.name}/{method.name}"
        for file in files
        if file.name.startswith("sonic/")
        for service in file.service
        for method in service.method
    ]
    try:
        rules = call_rules.parsed(CALLERS.read_text())
    except ValueError as error:
        raise Failed(f"{CALLERS.name}: {error}") from None
    if wrong := call_rules.problems(rules, methods):
        raise Failed("\n".join(wrong))
    return call_rules.module(rules, NOTE)


def commented(image: Path) -> bytes:
    """The image of our own files alone: the comments, for those who show them."""
    whole = descriptor_pb2.FileDescriptorSet.FromString(image.read_bytes())
    ours = [file for file in whole.file if file.name.startswith("sonic/")]
    return descriptor_pb2.FileDescriptorSet(file=ours).SerializeToString(deterministic=True)


def run(*command: str, silent: bool = False) -> None:
    """Runs a tool; any failure, or any word from one that should be silent (a warning), is a
    failure.
    """
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
    checks = (
        ("lint", str(image), "--path", "sonic"),
        ("format", "--diff", "--exit-code"),
        breaking_check(image),
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


def record(image: Path, breaking: str) -> None:
    """Keeps the schemas without comments: compatibility reads only shapes. All RPCs are released
    then.

    Refuses a breaking change without a reason; with one, the reason goes into the changelog, as one
    line.
    """
    breaking = " ".join(breaking.split())
    if RELEASE.exists():
        try:
            run(buf(), *breaking_check(image))
        except Failed as failure:
            if not breaking:
                raise Failed(
                    f'{failure}\nA breaking change needs its reason: make release BREAKING="..."'
                ) from None
            CHANGELOG.write_text(with_breaking(CHANGELOG.read_text(), breaking))
    schemas = descriptor_pb2.FileDescriptorSet.FromString(image.read_bytes())
    for file in schemas.file:
        file.ClearField("source_code_info")
    RELEASE.write_bytes(schemas.SerializeToString(deterministic=True))
    UNRELEASED.write_text(UNRELEASED_NOTE)


def breaking_check(image: Path) -> tuple[str, ...]:
    """Arguments of buf that hold an image against the release; our imports in it are not judged."""
    return ("breaking", str(image), "--against", str(RELEASE), "--path", "sonic")


def with_breaking(changelog: str, reason: str) -> str:
    """The changelog with one more line under Breaking of what is not released yet."""
    head, mark, rest = changelog.partition("## Unreleased\n")
    if not mark:
        raise Failed("CHANGELOG.md: no section '## Unreleased' to note the breaking change in")
    present, following, older = rest.partition("\n## ")
    before, breaking, listed = present.partition("### Breaking\n")
    if not breaking:
        present = f"\n### Breaking\n- {reason}\n{present}"
    else:
        present = f"{before}{breaking}- {reason}\n{listed}"
    return f"{head}{mark}{present}{following}{older}"


if __name__ == "__main__":
    sys.exit(main())

"""The schemas as foreign developers get them: one closed image, sources that compile, an honest
release.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from importlib import util
from pathlib import Path
from types import ModuleType

import pytest
from google.protobuf import descriptor_pb2
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    FieldDescriptorProto,
    FileDescriptorSet,
)

PROTOS = Path(__file__).parents[3] / "protos"
SERVICES = sorted(path.name for path in (PROTOS / "sonic").iterdir())


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    """protos/generate.py, which is a script and no package."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(PROTOS))
        spec = util.spec_from_file_location("generate", PROTOS / "generate.py")
        assert spec is not None
        assert spec.loader is not None
        module = util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return module


def image(name: str) -> FileDescriptorSet:
    return FileDescriptorSet.FromString((PROTOS / name).read_bytes())


def rpcs(files: FileDescriptorSet) -> set[str]:
    return {
        f"{file.package}.{service.name}/{method.name}"
        for file in files.file
        for service in file.service
        for method in service.method
    }


def test_the_image_holds_everything_it_imports() -> None:
    files = image("sonic.binpb").file
    held = {file.name for file in files}
    assert {f"sonic/{name}/v1/{name}.proto" for name in SERVICES} <= held
    assert {
        "buf/validate/validate.proto",
        "google/api/annotations.proto",
        "google/rpc/error_details.proto",
    } <= held
    assert {name for file in files for name in file.dependency} <= held


def test_every_schema_says_its_package_in_go_and_java() -> None:
    ours = [file for file in image("sonic.binpb").file if file.package.startswith("sonic.")]
    for file in ours:
        service = file.package.split(".")[1]
        assert file.options.go_package == f"sonic/{service}/v1;{service}v1"
        assert file.options.java_package == file.package
        assert file.options.java_multiple_files
    assert {file.package for file in ours} == {f"sonic.{name}.v1" for name in SERVICES}


# What 0.2.0 gave out: a name that is out stays, and Java's generator puts numbers behind both.
_RELEASED_COLLISIONS = {
    "sonic.alerts.v1.MetricSummary: raised_count",
    "sonic.positions.v1.EnrichPositionsResponse: absent_count",
}


def test_no_new_field_is_called_as_java_calls_the_accessors_of_another() -> None:
    found = {
        f"{name}: {other}"
        for file in image("sonic.binpb").file
        if file.package.startswith("sonic.")
        for name, message in messages(file.message_type, f"{file.package}.")
        for other in java_collisions(message)
    }
    assert found == _RELEASED_COLLISIONS


def messages(
    kinds: Iterable[DescriptorProto], before: str
) -> Iterator[tuple[str, DescriptorProto]]:
    for kind in kinds:
        yield before + kind.name, kind
        yield from messages(kind.nested_type, f"{before}{kind.name}.")


def java_collisions(message: DescriptorProto) -> set[str]:
    """Fields whose getter is one that Java makes of another field as well. Of `raised` it makes
    getRaised and, if it is repeated, getRaisedList, getRaisedCount and so on.
    """
    endings = {
        FieldDescriptorProto.LABEL_REPEATED: (
            *("List", "Count", "Map", "Builder", "OrBuilder", "BuilderList", "OrBuilderList"),
            *("Value", "ValueList", "Bytes", "OrDefault", "OrThrow"),
        )
    }
    made = {
        java_name(field.name) + ending
        for field in message.field
        for ending in endings.get(field.label, ("Builder", "OrBuilder", "Bytes", "Value", "Case"))
    }
    return {field.name for field in message.field if java_name(field.name) in made}


def java_name(field: str) -> str:
    """As it stands behind `get`: raised_count becomes RaisedCount, p99_ms P99Ms."""
    return "".join(part[:1].upper() + part[1:] for part in re.split(r"_|(?<=[0-9])", field))


def test_a_count_beside_its_list_is_found_as_a_collision() -> None:
    repeated = FieldDescriptorProto.LABEL_REPEATED
    message = DescriptorProto(name="Odd")
    message.field.add(name="late_row", label=repeated)
    message.field.add(name="late_row_count")
    message.field.add(name="row_count")
    assert java_collisions(message) == {"late_row_count"}


def test_every_rpc_is_released_or_named_as_not_released_yet() -> None:
    lines = (PROTOS / "unreleased.txt").read_text().splitlines()
    named = [line for line in lines if line and not line.startswith("#")]
    present, released = rpcs(image("sonic.binpb")), rpcs(image("release.binpb"))
    new = {
        rpc for rpc in present - released if rpc not in named and rpc.partition("/")[0] not in named
    }
    assert not new, "neither in protos/release.binpb nor in protos/unreleased.txt"
    services = {rpc.partition("/")[0] for rpc in present}
    assert not [name for name in named if name not in present | services], "named, and not there"
    assert not [name for name in named if name in released], "named, and released"
    assert not [name for name in named if any(rpc.startswith(f"{name}/") for rpc in released)]
    assert named == sorted(set(named))


def test_exported_sources_compile_to_the_schemas_they_came_from(
    generator: ModuleType, tmp_path: Path
) -> None:
    scratch, out, compiled = tmp_path / "scratch", tmp_path / "out", tmp_path / "compiled.binpb"
    scratch.mkdir()
    generator.export(scratch, out)
    sources = [path.relative_to(out).as_posix() for path in out.rglob("*.proto")]
    protoc = [
        sys.executable,
        "-m",
        "grpc_tools.protoc",
        f"-I{out}",
        f"--descriptor_set_out={compiled}",
    ]
    subprocess.run([*protoc, *sources], check=True)
    fresh = {file.name: file for file in FileDescriptorSet.FromString(compiled.read_bytes()).file}
    original = {file.name: file for file in image("sonic.binpb").file}
    assert {name for name in original if not name.startswith("google/protobuf/")} == set(fresh)
    for name, file in fresh.items():
        original[name].ClearField("source_code_info")
        assert file == original[name], name


def test_exporting_again_leaves_no_schema_behind_that_is_gone(
    generator: ModuleType, tmp_path: Path
) -> None:
    gone = tmp_path / "out" / "sonic" / "old" / "v1" / "old.proto"
    gone.parent.mkdir(parents=True)
    gone.write_text('syntax = "proto3";\n')
    (tmp_path / "scratch").mkdir()
    generator.export(tmp_path / "scratch", tmp_path / "out")
    assert not gone.exists()


@pytest.mark.parametrize("syntax", ["proto2", "proto3"])
def test_a_written_source_reads_back(generator: ModuleType, tmp_path: Path, syntax: str) -> None:
    """Parts of the language that the exported schema does not use."""
    label = "optional " if syntax == "proto2" else ""
    first = "zero_is_no_number" if syntax == "proto2" else "none"
    source = f"""syntax = "{syntax}";
package odd.v1;
option java_package = "odd \\"v1\\"";
enum Kind {{ {first} = 0; reserved 3, 5 to 7; reserved "old"; }}
message Odd {{
  reserved 4, 10 to max;
  message Inner {{ {label}Kind kind = 1 [deprecated = true, json_name = "kindly"]; }}
  map<string, Inner> by_name = 1;
  repeated int32 numbers = 2 [packed = false];
  oneof choice {{ string text = 3; Inner inner = 5; }}
  optional sfixed64 last = 6;
}}
"""
    (tmp_path / "odd.proto").write_text(source)
    (tmp_path / "again").mkdir()

    def compiled(folder: Path) -> descriptor_pb2.FileDescriptorProto:
        out = folder / "out.binpb"
        command = [
            sys.executable,
            "-m",
            "grpc_tools.protoc",
            f"-I{folder}",
            f"--descriptor_set_out={out}",
        ]
        subprocess.run([*command, "odd.proto"], check=True)
        return FileDescriptorSet.FromString(out.read_bytes()).file[0]

    file = compiled(tmp_path)
    (tmp_path / "again" / "odd.proto").write_text(generator.proto_text(file))
    assert compiled(tmp_path / "again") == file


def test_a_breaking_release_is_refused_without_its_reason(
    generator: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = image("release.binpb")
    alerts = next(file for file in broken.file if file.package == "sonic.alerts.v1")
    del alerts.message_type[0].field[0]
    present, old = tmp_path / "present.binpb", (PROTOS / "release.binpb").read_bytes()
    present.write_bytes(broken.SerializeToString())
    for name in ("RELEASE", "UNRELEASED", "CHANGELOG"):
        monkeypatch.setattr(generator, name, tmp_path / name)
    generator.RELEASE.write_bytes(old)
    generator.UNRELEASED.write_text("sonic.alerts.v1.RulesService\n")
    generator.CHANGELOG.write_text(
        "# Changelog\n\n## Unreleased\n\n### Added\n- this\n\n## 0.1.0\n- that\n"
    )
    with pytest.raises(generator.Failed, match="BREAKING="):
        generator.record(present, " \n")
    assert generator.RELEASE.read_bytes() == old
    assert "RulesService" in generator.UNRELEASED.read_text()
    generator.record(present, "nobody\n\n## used\r\n\t it")
    assert rpcs(FileDescriptorSet.FromString(generator.RELEASE.read_bytes())) == rpcs(broken)
    assert "RulesService" not in generator.UNRELEASED.read_text()
    noted = generator.CHANGELOG.read_text()
    assert noted.startswith(
        "# Changelog\n\n## Unreleased\n\n### Breaking\n- nobody ## used it\n\n### Added\n- this\n"
    )
    again = generator.with_breaking(noted, "a second one")
    assert (
        "### Breaking\n- a second one\n- nobody ## used it\n\n### Added\n- this\n\n## 0.1.0\n- "
        "that\n" in again
    )


def test_the_reason_of_a_breaking_release_is_prose_that_no_shell_reads(tmp_path: Path) -> None:
    reason = """it's "Run.name" now, not `touch harm`; see $HOME"""
    (tmp_path / "bin").mkdir()
    python = tmp_path / "bin" / "python"
    python.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {tmp_path}/told\n')
    python.chmod(0o755)
    stamps = ("-o", f"{tmp_path}/.tools", "-o", f"{tmp_path}/.runtime")
    escaped = reason.replace("$", "$$")  # make's own sign
    subprocess.run(
        ["make", "-s", *stamps, "release", f"VENV={tmp_path}", f"BREAKING={escaped}"],
        cwd=PROTOS.parent,
        check=True,
        timeout=20,
    )
    told = (tmp_path / "told").read_text().splitlines()
    assert told == ["protos/generate.py", "--release", "--breaking", reason]

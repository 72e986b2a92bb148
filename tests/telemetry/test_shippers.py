"""The configurations of docs/fleet.md: they are what their programs take, as far as can be told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.hosts.tools import need
from tests.telemetry.collector import program
from tests.telemetry.conftest import Writer
from tests.telemetry.receiver import Receiver
from whamm_cm.cli.main import main

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "docs" / "examples" / "fleet"


def loaded(name: str) -> Any:
    return yaml.safe_load((EXAMPLES / name).read_text())


def test_vector() -> None:
    """Each input is there, and each condition stands in quotes of its language."""
    found = loaded("vector.yaml")
    assert set(found) == {"sources", "transforms", "sinks"}
    known = {*found["sources"], *found["transforms"]}
    for part in (*found["transforms"].values(), *found["sinks"].values()):
        assert part["inputs"] and set(part["inputs"]) <= known
    kinds = [part["type"] for parts in found.values() for part in parts.values()]
    assert kinds == ["kubernetes_logs", "filter", "console"]
    (sink,) = found["sinks"].values()
    assert (sink["target"], sink["encoding"]) == ("stdout", {"codec": "json"})


def test_fluent_bit() -> None:
    found = loaded("fluent-bit.yaml")
    assert set(found) == {"service", "pipeline"}
    assert set(found["pipeline"]) == {"inputs", "filters", "outputs"}
    for parts in found["pipeline"].values():
        assert all(isinstance(part["name"], str) for part in parts)
    tags = {part["tag"] for part in found["pipeline"]["inputs"]}
    for part in (*found["pipeline"]["filters"], *found["pipeline"]["outputs"]):
        assert part["match"] in tags
    (output,) = found["pipeline"]["outputs"]
    assert (output["name"], output["format"]) == ("stdout", "json_lines")


def test_kubernetes() -> None:
    """By the schemas of Kubernetes itself, with no field that it does not know."""
    validate = pytest.importorskip("kubernetes_validate")
    documents = [*yaml.safe_load_all((EXAMPLES / "kubernetes.yaml").read_text())]
    for document in documents:
        validate.validate(document, validate.latest_version(), strict=True)
    pod = documents[0]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    volumes = {volume["name"] for volume in pod["volumes"]}
    assert {mount["name"] for mount in container["volumeMounts"]} == volumes
    assert {d["metadata"]["name"] for d in documents} == {pod["serviceAccountName"]}
    command = container["args"][0].partition("whamm-cm ")[2].split()
    from whamm_cm.cli.main import parser

    assert parser().parse_args(command).otlp == "env"


def shipped(receiver: Receiver, tmp_path: Path, wrap: Callable[[str], object]) -> None:
    """Records as lines of a log, each in the envelope of a shipper."""
    writer = Writer()
    writer.request("/a")
    lines = []
    for number, record in enumerate(writer.records):
        text = json.dumps(record, separators=(",", ":"))
        line = f"WCM2.abcdefghijkl {writer.run}.{number} {text}"
        lines.append(json.dumps(wrap(line)) + "\n")
    path = tmp_path / "shipped.log"
    path.write_text("".join(lines))
    assert main(["report", "--otlp", receiver.url, str(path)]) == 0
    (root,) = (span for span in receiver.spans if span["kind"] == 2)
    assert (root["name"], len(receiver.spans)) == ("GET /a", 6)
    assert root["resource"]["service.instance.id"] == "default/host-1/host"


POD = {"pod_name": "host-1", "container_name": "host"}


def test_what_fluent_bit_writes(receiver: Receiver, tmp_path: Path) -> None:
    def wrap(line: str) -> object:
        about = {**POD, "namespace_name": "default", "pod_id": "1", "host": "n1"}
        return {"date": 1.5, "stream": "stderr", "log": line + "\n", "kubernetes": about}

    shipped(receiver, tmp_path, wrap)


def test_what_vector_writes(receiver: Receiver, tmp_path: Path) -> None:
    def wrap(line: str) -> object:
        about = {**POD, "pod_namespace": "default", "pod_uid": "1", "pod_node_name": "n1"}
        return {
            "file": "/var/log/pods/x/0.log", "kubernetes": about, "message": line,
            "source_type": "kubernetes_logs", "stream": "stderr",
            "timestamp": "2026-01-01T00:00:00.000000001Z",
        }  # fmt: skip

    shipped(receiver, tmp_path, wrap)


@pytest.mark.oracle
def test_the_collector_as_a_shipper(receiver: Receiver, tmp_path: Path) -> None:
    """A real one reads the log of a real host, and what it writes is read here."""
    (wasmtime,) = need("wasmtime")
    woven, logs = tmp_path / "w.wasm", tmp_path / "hosts"
    logs.mkdir()
    source = str(ROOT / "fixtures" / "c_command" / "command.wasm")
    assert main(["instrument", "--trace", "*", "--time", "-o", str(woven), source]) == 0
    with (logs / "one.log").open("wb") as file:
        subprocess.run([wasmtime, "run", str(woven)], stderr=file, check=True, timeout=300)
    found = loaded("collector.yaml")
    found["receivers"]["filelog"]["include"] = [str(logs / "*.log")]
    found["receivers"]["filelog"]["start_at"] = "beginning"
    config = tmp_path / "ship.yaml"
    config.write_text(yaml.safe_dump(found))
    command = [sys.executable, "-m", "whamm_cm", "report", "--otlp", receiver.url]
    command += ["--woven", str(woven), "-"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    with (
        subprocess.Popen(
            [program(), "--config", str(config)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as collector,
        subprocess.Popen(command, stdin=collector.stdout, env=environment) as reader,
    ):
        try:
            receiver.until(lambda: any(s["name"] == "wasi:cli/run#run" for s in receiver.spans))
            collector.terminate()
            assert reader.wait(60) == 0
        finally:
            collector.kill()
            reader.kill()
    assert len(receiver.spans) == 16


def test_where_the_collector_takes_its_configuration(tmp_path: Path) -> None:
    done = subprocess.run(
        [program(), "validate", "--config", str(EXAMPLES / "collector.yaml")],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr

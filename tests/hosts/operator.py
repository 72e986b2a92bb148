"""What wasmCloud's operator does with a manifest: it asks a host, over NATS, to start a workload.

Kubernetes is left out: what its API server would refuse arrives here all the same.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.hosts.rig import DEADLINE, Program, running
from tests.hosts.tools import need

#: What 2.7 knows, and the later ones besides.
NUMBERS_2_7 = ("poolSize", "maxInvocations", "maxConcurrency")
NUMBERS = (*NUMBERS_2_7, "reclaimWindowSeconds", "reclaimMinInstances")
_RESOURCES = ("allowedHosts", "allowedIpNameLookups", "allowedHostLoopbackPorts", "volumeMounts")


def request_of(
    manifest: str, images: Mapping[str, str], numbers: Iterable[str] = NUMBERS
) -> dict[str, Any]:
    """The workload of a manifest as the operator sends it; ``images``: by the name of the
    component, or ``service``, what to run in the place of the image it names.  ``numbers``: the
    fields of that kind that this release knows; the API server drops others."""
    spec = yaml.safe_load(manifest)["spec"]
    spec = spec.get("template", {}).get("spec", spec)
    components = [
        {
            "name": one["name"],
            "image": images[one["name"]],
            "localResources": _resources(one.get("localResources") or {}),
            **{key: one[key] for key in numbers if key in one},
        }
        for one in spec.get("components") or ()
    ]
    interfaces = [_interface(one) for one in spec.get("hostInterfaces") or ()]
    workload: dict[str, Any] = {
        "namespace": "default",
        "name": "app",
        "witWorld": {"components": components, "hostInterfaces": interfaces},
        "volumes": [_volume(one) for one in spec.get("volumes") or ()],
    }
    if spec.get("service"):
        service = spec["service"]
        workload["service"] = {
            "image": images["service"],
            "localResources": _resources(service.get("localResources") or {}),
            "maxRestarts": service.get("maxRestarts", 0),
        }
    return workload


def _resources(found: Mapping[str, Any]) -> dict[str, Any]:
    environment = (found.get("environment") or {}).get("config") or {}
    kept = {key: found[key] for key in _RESOURCES if found.get(key)}
    return {"environment": environment, "config": found.get("config") or {}, **kept}


def _interface(found: Mapping[str, Any]) -> dict[str, Any]:
    keys = ("namespace", "package", "interfaces", "version", "name", "config")
    return {key: found[key] for key in keys if key in found}


def _volume(found: Mapping[str, Any]) -> dict[str, Any]:
    path = (found.get("hostPath") or {}).get("path")
    kind = {"hostPath": {"localPath": path}} if path else {"emptyDir": {}}
    return {"name": found["name"], **kind}


class Host:
    """A running ``wash host`` and the way to talk to it."""

    def __init__(self, program: Program, port: int, nats_url: str, name: str = "") -> None:
        """``name``: which it is of several that have one NATS server."""
        self.program, self.port, self._url, self._name = program, port, nats_url, name
        self._id = self._ask(None, {})
        self._count = 0

    def start(self, workload: Mapping[str, Any]) -> tuple[str, str]:
        """Starts a workload; its name, and "" or why the host does not."""
        self._count += 1
        name = f"w{self._count}"
        answer = self._ask("start", {"workloadId": name, "workload": workload})["workloadStatus"]
        started = answer["workloadState"] == "WORKLOAD_STATE_RUNNING"
        return name, "" if started else answer["message"]

    def stop(self, name: str) -> None:
        self._ask("stop", {"workloadId": name})

    def _ask(self, verb: str | None, body: Mapping[str, Any]) -> Any:
        return asyncio.run(asyncio.wait_for(self._talk(verb, body), DEADLINE))

    async def _talk(self, verb: str | None, body: Mapping[str, Any]) -> Any:
        import nats

        client = await nats.connect(self._url)
        try:
            if verb is None:
                heartbeats = await client.subscribe("runtime.operator.heartbeat.>")
                while True:
                    beat = json.loads((await heartbeats.next_msg(DEADLINE)).data)
                    if not self._name or self._name in beat.values():
                        return beat["id"]
            subject = f"runtime.host.{self._id}.workload.{verb}"
            question = client.request(subject, json.dumps(body).encode(), timeout=DEADLINE)
            return json.loads((await self._alive(asyncio.ensure_future(question))).data)
        finally:
            await client.close()

    async def _alive(self, answer: asyncio.Future[Any]) -> Any:
        """The answer; ConnectionError when the host ends without one."""
        while not answer.done():
            await asyncio.wait({answer}, timeout=0.1)
            if not answer.done() and self.program.process.poll() is not None:
                answer.cancel()
                raise ConnectionError(f"the host ended:\n{self.program.text}")
        return answer.result()


@contextmanager
def nats(folder: Path) -> Iterator[str]:
    """The URL of a NATS server."""
    (nats_server,) = need("nats-server")
    need_nats_client()
    command = (nats_server, "-a", "127.0.0.1", "-p", "-1", "-js", "-sd", folder)
    with running(command, folder / "nats.log") as program:
        yield f"nats://127.0.0.1:{program.port('Listening for client connections on')}"


def host_command(url: str, wash: str, *options: str) -> list[str]:
    command = [wash, "host", "--non-interactive", "--allow-insecure-registries"]
    command += ["--http-addr", "127.0.0.1:0", "--scheduler-nats-url", url]
    return [*command, "--data-nats-url", url, *options]


def host_home(folder: Path) -> dict[str, str]:
    return {"HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "NO_COLOR": "1"}


@contextmanager
def wash_host(folder: Path, wash: str = "wash", *options: str) -> Iterator[Host]:
    """A host with a NATS server of its own; ``wash`` is the program of ``tools``."""
    (program,) = need(wash)
    with nats(folder) as url:
        command = host_command(url, program, *options)
        with running(command, folder / "host.log", env=host_home(folder)) as host:
            yield Host(host, host.port("HTTP server listening.*addr="), url)


def need_nats_client() -> None:
    import pytest

    pytest.importorskip("nats", reason="nats-py is not installed; `make hosts` installs it")

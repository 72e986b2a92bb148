"""``permissions.network`` in a guard decides as the gate does, for every form of an address."""

from __future__ import annotations

import ipaddress
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from wasmtime import wat2wasm

from fixtures.build import path_of
from fixtures.listener import greeter
from fixtures.running import run_command
from tests.cli.test_enforce import held, said
from whamm_cm.cli.main import main
from whamm_cm.errors import UsageError, WeaveError
from whamm_cm.front.guarding import guard_of, guarded
from whamm_cm.front.verdict import policy_of
from whamm_cm.gate.guard_network import _REQUESTS, _may, functions
from whamm_cm.gate.hosts import Host, parse_authority, plain
from whamm_cm.gate.permissions import NetworkLine, Section
from whamm_cm.gate.policy import Policy

RULES = """
allow: [{ host: api.example.com, ports: [443] }, { host: "*.internal.example" },
  { cidr: 10.0.0.0/8 }, { host: 127.0.0.1, ports: [80, 8080] }, { cidr: "2001:db8::/32" },
  { cidr: "fe80::/10", ports: [443] }]
deny: [{ cidr: 10.6.0.0/16 }, { host: secret.internal.example }, { cidr: 10.7.0.0/16, ports: [22] },
  { cidr: "2001:db8:0:1::/64" }]"""
OPEN = "deny: [{ cidr: 169.254.169.254/32 }, { host: metadata.example }, { cidr: 'fd00::/8' }]"
V4 = ("127.0.0.1", "127.0.0.2", "10.0.0.1", "10.6.1.2", "10.7.0.1", "11.0.0.0", "169.254.169.254",
      "0.0.0.0", "255.255.255.255")  # fmt: skip
FORMS = ("::ffff:{}", "64:ff9b::{}", "::ffff:0:{}", "::{}")
V6 = ("::", "::1", "2001:db8::1", "2001:db8:0:1::1", "fe80::1", "febf::1", "fec0::1", "fd00::1",
      "2002:a00:1::", "2002:a06:102::5", "ffff::")  # fmt: skip
TUNNELS = (
    "2001:0:a00:1::1",
    "64:ff9b:1::a06:1",
    "2001:db8::5efe:10.6.0.1",
    "fe80::200:5efe:a9fe:a9fe",
)
PORTS = (22, 80, 443, 8080, 9999)

PEERS = wat2wasm("""(component
  (type $t4 (tuple u8 u8 u8 u8)) (export $v4 "v4" (type $t4))
  (type $t6 (tuple u16 u16 u16 u16 u16 u16 u16 u16)) (export $v6 "v6" (type $t6))
  (type $r4 (record (field "port" u16) (field "address" $v4))) (export $s4 "s4" (type $r4))
  (type $r6 (record (field "port" u16) (field "flow-info" u32) (field "address" $v6)
    (field "scope-id" u32))) (export $s6 "s6" (type $r6))
  (type $v (variant (case "ipv4" $s4) (case "ipv6" $s6))) (export $at "at" (type $v))
  (core module $m (memory (export "memory") 4) (global $next (mut i32) (i32.const 8))
    (func (export "go") (param i32 i32))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (global.get $next)
      (global.set $next (i32.and (i32.const -8)
        (i32.add (global.get $next) (i32.add (local.get 3) (i32.const 7)))))))
  (core instance $m (instantiate $m))
  (func (export "peers") (param "all" (list $at)) (canon lift (core func $m "go")
    (memory $m "memory") (realloc (func $m "realloc"))))
  (func (export "hosts") (param "all" (list string)) (canon lift (core func $m "go")
    (memory $m "memory") (realloc (func $m "realloc")))))""")


def section_of(rules: str, folder: Path) -> Section[NetworkLine]:
    path = folder / "rules.yaml"
    inner = rules.strip().replace("\n", "\n    ")
    path.write_text(f"version: 1\npermissions:\n  network:\n    {inner}\n")
    found = policy_of(path).permissions.network
    assert found is not None
    return found


def run_probe(folder: Path, script: str, call: str, capfd: pytest.CaptureFixture[str]) -> list[str]:
    (folder / "peers.wasm").write_bytes(PEERS)
    (folder / "s.mm").write_text(script)
    capfd.readouterr()
    assert main(["trace", "-q", "-s", str(folder / "s.mm"), "--invoke", call,
                 str(folder / "peers.wasm")]) == 0  # fmt: skip
    return re.findall("^(?:true|false)$", capfd.readouterr().err, re.M)


def judged(section: Section[NetworkLine], host: Host) -> bool:
    """What the gate says."""
    if any(line.covers(host) for line in section.deny):
        return False
    return section.allow is None or any(line.covers(host) for line in section.allow)


def wave(address: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int) -> str:
    if address.version == 4:
        return f"ipv4({{port: {port}, address: ({', '.join(str(address).split('.'))})}})"
    words = ", ".join(str(int(word, 16)) for word in address.exploded.split(":"))
    return f"ipv6({{port: {port}, flow-info: 0, address: ({words}), scope-id: 0}})"


@pytest.mark.parametrize("rules", (RULES, OPEN))
def test_addresses(rules: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    section = section_of(rules, tmp_path)
    texts = [*V4, *(form.format(one) for form in FORMS for one in V4), *V6]
    addresses = [ipaddress.ip_address(text) for text in texts]
    cases = [(address, port) for address in addresses for port in PORTS]
    script = functions(section) + (
        f'wit:export:#peers:before {{ for one in all {{ print("{{}}", {_may("one")}); }} }}'
    )
    call = f"peers([{', '.join(wave(*case) for case in cases)}])"
    found = run_probe(tmp_path, script, call, capfd)
    wanted = [judged(section, Host(address=plain(a), port=p)) for a, p in cases]
    assert len(cases) == 280 and len(set(wanted)) == 2
    differ = [(str(a), p) for (a, p), w, f in zip(cases, wanted, found, strict=True)
              if f != str(w).lower()]  # fmt: skip
    assert differ == []
    tunnels = [(ipaddress.ip_address(text), 443) for text in TUNNELS]
    call = f"peers([{', '.join(wave(*case) for case in tunnels)}])"
    assert run_probe(tmp_path, script, call, capfd) == ["false"] * len(tunnels)


HOSTS = (
    "api.example.com:443", "API.Example.COM.:443", "api.example.com:80", "api.example.com",
    "api.example.com.evil.net:443", "xapi.example.com:443", "a.internal.example",
    "A.b.internal.example:9", "internal.example", "secret.internal.example",
    "SECRET.internal.example.:443", "10.1.2.3", "10.6.1.1", "10.7.0.1:22", "10.7.0.1:23",
    "127.0.0.1", "127.0.0.1:8080", "127.0.0.1:8081", "metadata.example", "METADATA.example.",
    "169.254.169.254", "evil.net", "evil.net:443",
)  # fmt: skip
#: What readers take for different hosts, or the gate reads as well and the guard does not.
UNREADABLE = (
    "u@api.example.com:443", "api.example.com:443@evil.net", "api.example.com\\\\@evil.net",
    "api.example.com:443:1", "api.example.com/..", "api.example.com#x", "", ":443", ".", "..",
    "[::ffff:10.6.0.1]:443", "[::1]", "0x7f.1:80", "2130706433:80", "127.1:80", "0177.0.0.1:80",
    "127.0.0.256:80", "127.0.0.1.:80x", "api.example.com:999999", "api。example.com:443",
    "%61pi.example.com:443", " api.example.com:443", "api..example.com:443", "-a.internal.example",
)  # fmt: skip


@pytest.mark.parametrize("rules", (RULES, OPEN))
def test_hosts(rules: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    section = section_of(rules, tmp_path)
    script = (
        functions(section)
        + _REQUESTS
        + ('wit:export:#hosts:before { for one in all { print("{}", may_ask(one)); } }')
    )

    def asked(hosts: tuple[str, ...]) -> list[str]:
        listed = ", ".join(f'"{host}"' for host in hosts)
        return run_probe(tmp_path, script, f"hosts([{listed}])", capfd)

    def gate(text: str) -> bool:
        host = parse_authority(text)
        assert host is not None, text
        ports = (80, 443) if host.port is None else (host.port,)
        return any(judged(section, Host(host.name, host.address, port)) for port in ports)

    assert asked(HOSTS) == [str(gate(text)).lower() for text in HOSTS]
    assert asked(UNREADABLE) == ["false"] * len(UNREADABLE)


# --- guests --------------------------------------------------------------------------------------


def allowing(folder: Path, *lines: str) -> Policy:
    path = folder / "policy.yaml"
    path.write_text(f"version: 1\npermissions: {{ network: {{ allow: [{', '.join(lines)}] }} }}\n")
    return policy_of(path)


def line(address: str) -> str:
    host, _, port = address.partition(":")
    return f'{{ host: "{host}", ports: [{port}] }}'


def test_c_and_python_connect_where_they_may(tmp_path: Path) -> None:
    with greeter() as mine, greeter() as other:
        rules = allowing(tmp_path, line(mine))
        for name, denied in (("c_command", b"start-connect failed with code 1\n"),
                             ("py_command", b"")):  # fmt: skip
            wasm = path_of(name).read_bytes()
            before = run_command(wasm, ("command", mine))
            assert b"answer: WELCOME" in before.stdout
            allowed = held(wasm, rules, mine)
            assert (allowed.status, allowed.stdout) == (before.status, before.stdout)
            after = held(wasm, rules, other)
            assert denied in after.stdout and b"answer:" not in after.stdout
            (text,) = said(after)
            assert re.fullmatch(
                r"enforce: denied wasi:sockets/tcp@0\.2\.\d#tcp-socket\.start-connect "
                + re.escape(f"{other} (policy.yaml:2: permissions.network)"),
                text,
            )
        assert b"PermissionError: [Errno 2] Permission denied" in after.stderr


class Silent(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Silent) as found:
        thread = threading.Thread(target=found.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield f"127.0.0.1:{found.server_port}"
        found.shutdown()
        thread.join()


def test_http_asks_where_it_may(
    server: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    app = path_of("http_ask")
    guard = guard_of(app.read_bytes(), "ask", allowing(tmp_path, line(server)), "deny")
    (tmp_path / "guard.mm").write_text(guard.text)

    def ask(authority: str) -> tuple[int, str]:
        status = main(["trace", "-q", "-s", str(tmp_path / "guard.mm"), "--inherit-network",
                       "--request", f"GET /{authority}", str(app)])  # fmt: skip
        return status, capfd.readouterr().err

    assert ask(server) == (0, "")
    for authority in ("127.0.0.1:1", server.replace("127.0.0.1", "localhost"), f"u@{server}"):
        status, err = ask(authority)
        # The fixture goes on after `set-authority` has failed, and gets the error of `handle`.
        assert (status, "abort" in err) == (0, False)
        denied = [one.split()[2] for one in err.splitlines() if one.startswith("enforce: denied ")]
        assert denied == [
            f"wasi:http/{one}"
            for one in (
                "types@0.2.0#outgoing-request.set-authority",
                "outgoing-handler@0.2.0#handle",
            )
        ]


def test_what_is_not_known_is_refused(tmp_path: Path) -> None:
    rules = allowing(tmp_path, "{ host: a.example }")
    text = """(component
      (import "wasi:http/handler@{}" (instance $h (export "handle" (func))))
      (core func $f (canon lower (func $h "handle"))))"""
    for version in ("0.3.0", "0.3.0-rc-2026-01-06", "0.2.0-rc-2023-10-18", "0.4.0"):
        with pytest.raises(UsageError, match="of WASI 0.2 and 0.3, and the component calls"):
            guarded(bytes(wat2wasm(text.format(version))), "p3", rules, "deny")
    many = allowing(tmp_path, f"{{ host: a.example, ports: {list(range(1, 70))} }}")
    with pytest.raises(UsageError, match="69 ports; enforce knows 60 at most"):
        guarded(path_of("c_command").read_bytes(), "app", many, "deny")
    with pytest.raises(WeaveError, match="nothing to enforce"):
        guarded(path_of("strings").read_bytes(), "app", rules, "deny")

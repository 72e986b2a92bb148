"""Manifests as people write them, bad ones, and which component an input is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whamm_cm.errors import InputError, UsageError
from whamm_cm.gate.manifest import Workload, parse_manifest, read_manifest
from whamm_cm.gate.placement import place

HEAD = "apiVersion: runtime.wasmcloud.dev/v1alpha1\n"
COMPONENT = """\
- name: cart
  image: registry.example/shop/cart:1.0
  poolSize: 4
  maxInvocations: 100
  maxConcurrency: 2
  imagePullPolicy: Always
  imagePullSecret: {name: registry}
  localResources:
    environment:
      config: {LOG_LEVEL: debug}
      configFrom: [{name: settings}]
      secretFrom: [{name: keys}]
    config: {greeting: hello}
    allowedHosts: ["https://api.example.com:8443/", "*.example.com", "10.0.0.1:5432"]
    allowedIpNameLookups: ["*.example.com", "::1"]
    allowedHostLoopbackPorts: ["5432", "53/udp"]
    volumeMounts: [{name: data, mountPath: /data, readOnly: true}]
"""


def indent(text: str, by: int) -> str:
    return "".join(" " * by + line for line in text.splitlines(True))


SPEC = f"""\
hostSelector: {{hostgroup: default}}
environment: eu
components:
{COMPONENT}\
service:
  image: registry.example/shop/front@sha256:0
  maxRestarts: 3
hostInterfaces:
- namespace: wasi
  package: keyvalue
  interfaces: [store, atomics]
  version: 0.2.0-draft
  name: sessions
  config: {{backend: redis}}
  secretFrom: [{{name: redis}}]
volumes:
- {{name: data, hostPath: {{path: /srv}}}}
kubernetes: {{service: {{name: cart}}}}
"""

WORKLOAD = f"{HEAD}kind: Workload\nmetadata: {{name: shop}}\nspec:\n{indent(SPEC, 2)}"
DEPLOYMENT = f"""\
{HEAD}kind: WorkloadDeployment
metadata: {{name: shop, labels: {{team: a}}}}
spec:
  replicas: 2
  deployPolicy: Recreate
  kubernetes: {{service: {{name: cart}}}}
  template:
    labels: {{a: b}}
    annotations: {{a: b}}
    spec:
{indent(SPEC, 6)}status: {{replicas: {{}}}}
"""
REPLICAS = DEPLOYMENT.replace("WorkloadDeployment", "WorkloadReplicaSet").replace(
    "  deployPolicy: Recreate\n  kubernetes: {service: {name: cart}}\n  template", "  template"
)
OTHER = "apiVersion: v1\nkind: Service\nmetadata: {name: shop}\n"


def parse(text: str) -> tuple[Workload, ...]:
    return parse_manifest(text.encode(), "deploy.yaml")


@pytest.mark.parametrize("text", [WORKLOAD, DEPLOYMENT, REPLICAS])
def test_every_kind_gives_the_same_workload(text: str) -> None:
    (found,) = parse(text)
    cart, service = found.items
    assert (found.name, cart.name, service.kind) == ("shop", "cart", "service")
    assert found.oddities == ()
    assert str(cart.image) == "registry.example/shop/cart:1.0"
    assert [one.text for one in cart.allowed_hosts][1] == "*.example.com"
    assert [one.text for one in cart.lookups] == ["*.example.com", "::1"]
    assert [one.text for one in cart.loopback_ports] == ["5432", "53/udp"]
    (mount,) = cart.mounts
    assert (mount.volume.text, mount.path, mount.read_only) == ("data", "/data", True)
    assert cart.secrets is not None
    (entry,) = found.interfaces
    assert str(entry) == "wasi:keyvalue@0.2.0-draft (sessions)"
    assert entry.listed == {"store", "atomics"}


def test_places_are_those_in_the_file() -> None:
    (found,) = parse(DEPLOYMENT)
    lines = DEPLOYMENT.splitlines()
    for location, text in (
        (found.components[0].image.location, "image: registry.example/shop/cart:1.0"),
        (found.components[0].resources, "localResources:"),
        (found.components[0].secrets, "secretFrom: [{name: keys}]"),
        (found.interfaces[0].location, "- namespace: wasi"),
        (found.interfaces_at, "hostInterfaces:"),
        (found.components[0].mounts[0].volume.location, "volumeMounts:"),
    ):
        assert location is not None and text in lines[location.line - 1], text
        assert location.file == "deploy.yaml"


def test_documents_lists_and_json() -> None:
    assert len(parse(f"---\n{OTHER}---\n{WORKLOAD}---\n---\n{DEPLOYMENT}")) == 2
    several = f"apiVersion: v1\nkind: List\nitems:\n- {indent(WORKLOAD, 2)[2:]}"
    assert [one.name for one in parse(several)] == ["shop"]
    own = several.replace("v1\nkind: List", "runtime.wasmcloud.dev/v1alpha1\nkind: WorkloadList")
    assert [one.name for one in parse(own)] == ["shop"]
    json = (
        '{"apiVersion": "runtime.wasmcloud.dev/v1alpha1", "kind": "Workload",'
        ' "metadata": {"name": "j"}, "spec": {"components": [{"name": "c", "image": "r.x/c"}]}}'
    )
    assert [one.components[0].name for one in parse(json)] == ["c"]


def test_images_of_artifacts() -> None:
    artifact = (
        f"{HEAD}kind: Artifact\nmetadata: {{name: build}}\nspec: {{image: r.x/cart@sha256:1}}\n"
    )
    text = DEPLOYMENT.replace("registry.example/shop/cart:1.0", "artifact://cart").replace(
        "  replicas: 2\n",
        "  replicas: 2\n  artifacts: [{name: cart, artifactFrom: {name: build}}]\n",
    )
    (found,) = parse(f"{artifact}---\n{text}")
    image = found.components[0].image
    assert (image.text, image.location.line) == ("r.x/cart@sha256:1", 4)
    (alone,) = parse(text)
    assert alone.components[0].image.text == "artifact://cart"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("maxRestarts: 3", 'maxRestarts: "3"', 'maxRestarts must be a whole number, not "3"'),
        ("replicas: 2", "replicas: 1.5", "replicas must be a whole number"),
        ("backend: redis", "backend: 6379", "backend in config must be text; put it in quotes"),
        ("backend: redis", "backend: true", "backend in config must be text; put it in quotes"),
        ("poolSize", "poolsize", 'unknown field "poolsize"; did you mean "poolSize"?'),
        ("template:\n", "replica: 1\n  template:\n", 'unknown field "replica"'),
        ("name: sessions", "name: My_Sessions", '"My_Sessions" is no name for an entry'),
        ("[store, atomics]", "[]", "lists no interfaces"),
        ('"10.0.0.1:5432"', '"api.example.com/v1"', 'allowedHosts has "api.example.com/v1"'),
        ('"10.0.0.1:5432"', '"*foo"', 'allowedHosts has "*foo"'),
        ('"::1"', '"https://x.example"', "allowedIpNameLookups has"),
        ('"53/udp"', '"53-60"', "allowedHostLoopbackPorts has"),
        ("mountPath: /data", "mountPath: /data, subPath: x", 'unknown field "subPath"'),
    ],
)  # fmt: skip
def test_what_the_cluster_would_refuse_or_drop(old: str, new: str, message: str) -> None:
    assert old in DEPLOYMENT
    (found,) = parse(DEPLOYMENT.replace(old, new))
    (oddity,) = found.oddities
    assert message in oddity.message


def test_named_entries_that_stand_there_twice() -> None:
    start = SPEC.index("- namespace"), SPEC.index("volumes:")
    twice = SPEC[: start[1]] + SPEC[start[0] :]
    (found,) = parse(f"{HEAD}kind: Workload\nmetadata: {{name: shop}}\nspec:\n{indent(twice, 2)}")
    assert [one.refused for one in found.oddities] == [True]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "deploy.yaml: no Workload, WorkloadReplicaSet or WorkloadDeployment in it"),
        (OTHER, "deploy.yaml: no Workload, WorkloadReplicaSet or WorkloadDeployment in it (it has"
                " Service)"),
        ("apiVersion: core.oam.dev/v1beta1\nkind: Application\n",
         "deploy.yaml: a manifest of wasmCloud v1 (wadm); the gate reads"),
        ("hello", 'deploy.yaml:1:1: a Kubernetes object must be a mapping, not "hello"'),
        ("a: b", 'deploy.yaml:1:1: no "apiVersion", so this is no Kubernetes object'),
        ("a: [", "deploy.yaml:1:5: not YAML: "),
        ("a: &x 1", "deploy.yaml:1:4: anchors (&x) are not allowed here; write it out"),
        (WORKLOAD.replace("v1alpha1", "v1"),
         "deploy.yaml:1:13: runtime.wasmcloud.dev/v1 is not known; this is for"
         " runtime.wasmcloud.dev/v1alpha1"),
        (HEAD + "kind: Workload\n", 'deploy.yaml:1:1: a Workload needs "spec"'),
        (HEAD + "kind: WorkloadDeployment\nspec: {}\n", 'deploy.yaml:3:7: spec needs "template"'),
        (HEAD + "kind: Workload\nspec: {components: 3}\n",
         'deploy.yaml:3:20: components must be a list, not "3"'),
        (HEAD + "kind: Workload\nspec: {components: [{image: x}]}\n",
         'deploy.yaml:3:21: a component needs "name"'),
        (HEAD + "kind: Workload\nspec: {components: [{name: x, image: [a]}]}\n",
         "deploy.yaml:3:38: image must be text, not a list"),
        (HEAD + "kind: Workload\nspec: {hostInterfaces: [{namespace: wasi, package: http,"
                " interfaces: [types], version: 0.2}]}\n",
         'deploy.yaml:3:88: version must be text, not "0.2"; quote it'),
        (HEAD + "kind: Workload\nspec: {a: 1, a: 2}\n",
         'deploy.yaml:3:14: the key "a" is there already, on line 3'),
    ],
)  # fmt: skip
def test_a_bad_manifest_is_one_sentence_with_its_place(text: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        parse(text)
    assert str(caught.value).startswith(message)
    assert caught.value.exit_code == 3 and "\n" not in str(caught.value)


def test_files_that_cannot_be_read(tmp_path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_manifest(str(tmp_path / "deploy.yaml"))
    with pytest.raises(InputError, match="cannot be read"):
        read_manifest(str(tmp_path))
    huge = tmp_path / "huge.yaml"
    huge.write_bytes(b"# " + b"x" * (1 << 21))
    with pytest.raises(InputError, match="larger than 1 MiB"):
        read_manifest(str(huge))
    with pytest.raises(InputError, match="no name of a file"):
        read_manifest("a\0b")


@given(st.data())
def test_damaged_manifests_are_input_errors(data: st.DataObject) -> None:
    """Whatever is cut out of or put into a manifest, it is read or refused in a sentence."""
    text = DEPLOYMENT
    at = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(at, min(len(text), at + 40)))
    junk = data.draw(
        st.sampled_from(["", "\t", "[", "]", "{", ": ", "- ", "~", "1", "\0", "é", "&a "])
    )
    try:
        parse(text[:at] + junk + text[end:])
    except InputError as error:
        assert "\n" not in str(error) and str(error).startswith("deploy.yaml:")


# which component is it?


def workloads(*names: str, image: str = "registry.example/shop/{}:1") -> tuple[Workload, ...]:
    rows = "".join(f"  - {{name: {name}, image: '{image.format(name)}'}}\n" for name in names)
    return parse(f"{HEAD}kind: Workload\nmetadata: {{name: w}}\nspec:\n  components:\n{rows}")


@pytest.mark.parametrize(
    ("path", "item"),
    [
        ("build/cart.wasm", "cart"),
        ("target\\release\\pay_ment.wasm", "pay-ment"),
        ("CART.component.wasm", "cart"),
        ("oci://registry.example/shop/cart:1", "cart"),
        ("oci://mirror.example/copy/cart@sha256:" + "0" * 64, "cart"),
        ("layouts/cart/", "cart"),
    ],
)
def test_by_image_and_name(path: str, item: str) -> None:
    (row,) = place([path], workloads("cart", "pay-ment"))
    assert [one.item.name for one in row] == [item]


def test_by_the_last_part_of_the_image() -> None:
    (found,) = parse(WORKLOAD)
    (row,) = place(["front.wasm"], [found])
    assert row[0].item.kind == "service"


def test_the_whole_image_decides_before_the_name() -> None:
    found = workloads("cart", image="registry.example/shop/basket:1") + workloads(
        "basket", image="registry.example/shop/other:1"
    )
    (row,) = place(["oci://registry.example/shop/basket:1"], found)
    assert [one.item.name for one in row] == ["cart"]


def test_the_only_one() -> None:
    (row,) = place(["app.wasm"], workloads("cart"))
    assert row[0].item.name == "cart"
    with pytest.raises(UsageError, match=r"b.wasm: which component .*--component \(cart\)"):
        place(["cart.wasm", "b.wasm"], workloads("cart"))


def test_by_option() -> None:
    both = workloads("a", "b")
    (row,) = place(["app.wasm"], both, "b")
    assert [one.item.name for one in row] == ["b"]
    (row,) = place(["app.wasm"], both, "w/a")
    assert [one.item.name for one in row] == ["a"]
    with pytest.raises(UsageError, match=r"no component v/a in the manifest \(it has a, b\)"):
        place(["app.wasm"], both, "v/a")
    with pytest.raises(UsageError, match="give one input"):
        place(["a.wasm", "b.wasm"], both, "a")


def test_nobody_guesses() -> None:
    with pytest.raises(UsageError, match=r"app.wasm: which component .*\(a, b\)"):
        place(["app.wasm"], workloads("a", "b"))
    with pytest.raises(UsageError, match=r"\(w/a, w/a\)|\(w/a\)"):
        place(["app.wasm"], workloads("a") + workloads("a"))

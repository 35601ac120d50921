"""The Helm chart, rendered by Helm's own code and held against Kubernetes' schemas."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from deployed import CHART, accept

helm = pytest.importorskip("helm_python", reason="no Helm here: pip install -e '.[deployment]' brings it")
kubernetes = pytest.importorskip("kubernetes_validate", reason="no schemas: pip install -e '.[deployment]'")

ROLES = ("coordinator", "hospital")
FULL = {
    "image": {"digest": f"sha256:{'ab' * 32}", "pullSecrets": [{"name": "registry"}]},
    "hospital": {"patientsClaim": "pacs"},
    "service": {"annotations": {"a": "b"}, "sourceRanges": ["192.0.2.0/24"]},
    "storage": {"className": "fast"},
    "networkPolicy": {"coordinator": ["192.0.2.7/32"]},
    "nodeSelector": {"disk": "ssd"},
    "tolerations": [{"key": "gpu", "operator": "Exists"}],
}


def rendered(
    role: str, values: dict[str, Any] | None = None, chart: Path = CHART
) -> dict[str, dict[str, Any]]:
    """Each kind of manifest, by its kind."""
    with helm.Chart.load(chart) as loaded:
        loaded.validate_schema({"role": role, **(values or {})})
        files = loaded.render({"role": role, **(values or {})}, name="west", namespace="laennec")
    texts = [text for name, text in files.items() if name.endswith(".yaml") and text.strip()]
    return {found["kind"]: found for text in texts for found in yaml.safe_load_all(text) if found}


@pytest.mark.parametrize("role", ROLES)
def test_helm_finds_nothing_to_say(role: str) -> None:
    report = helm.lint(CHART, {"role": role}, strict=True)
    assert [each for each in report["messages"] if each["severity"] > 1] == []
    assert report["errors"] == []


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("values", [{}, FULL], ids=["default", "full"])
@pytest.mark.parametrize("version", ["1.27", "1.30", "1.37"])
def test_kubernetes_takes_what_is_rendered(role: str, values: dict[str, Any], version: str) -> None:
    for manifest in rendered(role, values).values():
        kubernetes.validate(manifest, version, strict=True)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("values", [{}, FULL], ids=["default", "full"])
def test_a_pod_is_closed_and_starts_what_exists(role: str, values: dict[str, Any]) -> None:
    spec = rendered(role, values)["StatefulSet"]["spec"]
    pod = spec["template"]["spec"]
    assert spec["replicas"] == 1
    assert spec["persistentVolumeClaimRetentionPolicy"] == {"whenDeleted": "Retain", "whenScaled": "Retain"}
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    [begin], [main] = pod["initContainers"], pod["containers"]
    for container in (begin, main):
        assert container["image"].startswith(f"laennec-{role}:0.1.0")
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
    assert accept(main["args"]) == f"{role} start"
    script, _, *options = begin["command"][2:]
    assert f'exec laennec {role} init "$LAENNEC_HOME" "$@"' in script
    assert accept([role, "init", "/srv/laennec/home", *options]) == f"{role} init"
    # A coordinator that is away makes a hospital unready; it must not have it killed.
    assert main["livenessProbe"]["grpc"] == {"port": 9095, "service": "live"}
    assert main["readinessProbe"]["grpc"] == {"port": 9095}


def test_nobody_connects_to_a_hospital() -> None:
    found = rendered("hospital")
    assert "Service" not in found
    assert found["NetworkPolicy"]["spec"]["ingress"] == []
    ports = {
        (port["protocol"], port["port"])
        for rule in found["NetworkPolicy"]["spec"]["egress"]
        for port in rule["ports"]
    }
    assert ports == {("UDP", 53), ("TCP", 53), ("TCP", 9092), ("TCP", 9443)}
    only = rendered("hospital", FULL)["NetworkPolicy"]["spec"]["egress"][1]["to"]
    assert only == [{"ipBlock": {"cidr": "192.0.2.7/32"}}]


def test_a_coordinator_connects_to_nobody() -> None:
    found = rendered("coordinator")
    assert found["NetworkPolicy"]["spec"]["egress"] == []
    assert [port["port"] for port in found["Service"]["spec"]["ports"]] == [9092, 9443]


@pytest.mark.parametrize(
    "values",
    [
        {"role": "both"},
        {"role": "hospital", "image": {"tag": "latest"}},
        {"role": "hospital", "image": {"digest": "sha256:12"}},
        {"role": "coordinator", "replicas": 3},
        {"role": "coordinator", "coordinator": {"hosts": ["$(reboot)"]}},
    ],
)
def test_values_that_make_no_sense_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(helm.HelmError):
        rendered(values["role"], {key: each for key, each in values.items() if key != "role"})


def test_a_chart_that_was_spoilt_is_seen(tmp_path: Path) -> None:
    shutil.copytree(CHART, tmp_path / "laennec")
    file = tmp_path / "laennec" / "templates" / "statefulset.yaml"
    good = file.read_text()
    file.write_text(
        good.replace("readOnlyRootFilesystem", "readOnlyRoot").replace("replicas: 1", "replica: 1")
    )
    with pytest.raises(kubernetes.ValidationError):
        kubernetes.validate(
            rendered("coordinator", chart=tmp_path / "laennec")["StatefulSet"], "1.30", strict=True
        )
    file.write_text(good.replace("{{- end }}", "", 1))
    with pytest.raises(helm.HelmError):
        rendered("coordinator", chart=tmp_path / "laennec")

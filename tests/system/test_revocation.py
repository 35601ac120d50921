"""Four hospitals that joined through the front door, a real SuperLink, real nodes; one is revoked."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import nodes
import pytest
import tomli_w
from fronted import Front, front, shown

from client import approval
from client.home import FILE, Home
from client.joining.joining import private_key
from client.node.places import Places
from deploy.digital import digital_hospitals
from server.admission import reconcile
from server.coordinating.every import Every
from server.coordinating.places import link_of
from server.events import Advanced, Event, listening
from server.link import SuperLink
from tasks.study import Study, Training

pytestmark = pytest.mark.slow
NAMES = ("cleveland", "hungary", "long-beach", "switzerland")  # three go on without the fourth
STUDY = Study(name="revoked", task="heart-disease", rounds=4, training=Training(learning_rate=2.0))
REVOKED_AFTER = 2  # rounds


def joined(door: Front, name: str, data: Path) -> Home:
    """A member whose patients are digital and who approved the study."""
    home = door.hospital(name)
    (home.path / FILE).write_text(tomli_w.dumps({"name": name, "sources": [str(data / f"{name}.csv")]}))
    from client.joining.joining import join

    join(Home.open(home.path), door.invited(name))
    approval.approve(Home.open(home.path), STUDY, by="a person")
    return Home.open(home.path)


@contextmanager
def node(home: Home, link: SuperLink) -> Iterator[None]:
    """The node of that home, with real processes."""
    file = home.path / "settings.json"
    file.write_text(json.dumps(home.settings().to_config()))
    places = Places(home.path / "node")
    played = SimpleNamespace(
        home=home.path, places=places, settings=home.settings(), file=file, key=lambda: None
    )
    with nodes.running(played, link):
        yield


@pytest.fixture(scope="module")
def federation(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Front, SuperLink, dict[str, Home]]]:
    folder = tmp_path_factory.mktemp("federation")
    data = digital_hospitals("heart-disease", dict.fromkeys(NAMES, 40), 1, folder / "data")
    nodes.warm()
    with ExitStack() as stack:
        door = stack.enter_context(front(folder))
        homes = {name: joined(door, name, data) for name in NAMES}
        link = link_of(door.home)
        stack.callback(link.stop)
        link.start()
        reconcile(door.home.registry, link)
        for home in homes.values():
            stack.enter_context(node(home, link))
        yield door, link, homes


def is_let_in(home: Home, link: SuperLink) -> bool:
    """Whether SuperLink takes a signed request of this hospital's node, made with its own key."""
    from flwr.proto.heartbeat_pb2 import SendNodeHeartbeatRequest
    from flwr.proto.node_pb2 import Node
    from flwr.supercore.interceptors import RuntimeVersionHttpInterceptor
    from flwr.supernode.fleet_http_client import FleetHttpClient
    from flwr.supernode.node_auth_http_interceptor import NodeAuthHttpInterceptor

    places = Places(home.path / "node")
    key = private_key(places.key)
    client = FleetHttpClient.from_server_address(
        link.address,
        insecure=False,
        root_certificates=link.certificates.authority.read_bytes(),
        interceptors=[
            RuntimeVersionHttpInterceptor(component_name="SuperNode"),
            NodeAuthHttpInterceptor(key, key.public_key()),
        ],
    )
    nodes.wait_for(places.number.is_file, "the node to connect")
    number = int(places.number.read_text())
    try:
        with client:
            client.SendNodeHeartbeat(
                SendNodeHeartbeatRequest(node=Node(node_id=number), heartbeat_interval=30.0)
            )
    except httpx.HTTPStatusError as refused:
        if refused.response.status_code != httpx.codes.UNAUTHORIZED:
            raise
        return False
    return True


def carried_out(link: SuperLink, door: Front, heard: Callable[[Event], None]) -> list[Advanced]:
    """The study's steps, as the coordinator's own process carries it out."""
    from server.admission.grid import MembersGrid
    from server.driver import drive
    from server.terms import Terms

    steps: list[Advanced] = []

    def collect(event: Event) -> None:
        if isinstance(event, Advanced):
            steps.append(event)
        heard(event)

    link.launch({"study.toml": STUDY.to_toml().encode()})
    with listening(collect), link.grid(NAMES) as grid:
        registry = door.home.registry
        members = MembersGrid(grid, lambda: {each.name for each in registry.hospitals.members()})
        drive(members, STUDY, Terms(4, reply_seconds=300.0), None)
    return steps


@pytest.mark.fault("certificate revoked", "after round 2", "out within a round, by name; the others go on")
def test_a_revoked_hospital_is_out_within_a_round_and_the_others_go_on(
    federation: tuple[Front, SuperLink, dict[str, Home]],
) -> None:
    door, link, homes = federation
    registry = door.home.registry
    admission = Every(1.0, lambda: reconcile(registry, link), "admission")
    admission.start()
    revoked = threading.Event()

    def watch(event: Event) -> None:
        if isinstance(event, Advanced) and event.round == REVOKED_AFTER and not revoked.is_set():
            registry.hospitals.revoke("hungary", "for the test")
            revoked.set()

    assert all(is_let_in(home, link) for home in homes.values())
    try:
        steps = carried_out(link, door, watch)
    finally:
        admission.stop()
    missing = {step.round: dict(step.left_out) for step in steps if step.asked and step.asked > 0}
    assert steps[-1].progress.phase == "done"
    for number in range(1, REVOKED_AFTER + 1):
        assert missing[number] == {}
    for number in range(REVOKED_AFTER + 2, STUDY.rounds + 1):
        assert set(missing[number]) == {"hungary"}, missing
        assert "a member of the federation no more" in missing[number]["hungary"]
    assert not is_let_in(homes["hungary"], link)
    assert is_let_in(homes["cleveland"], link)
    assert is_let_in(homes["long-beach"], link)


def test_superlink_alone_would_let_a_revoked_hospital_in(
    federation: tuple[Front, SuperLink, dict[str, Home]],
) -> None:
    """What reconciling is for; and that it touches one hospital."""
    door, link, homes = federation
    reconcile(door.home.registry, link)
    door.home.registry.hospitals.revoke("long-beach")
    assert is_let_in(homes["long-beach"], link)
    assert reconcile(door.home.registry, link).shut_out == ("long-beach",)
    assert not is_let_in(homes["long-beach"], link)
    assert is_let_in(homes["cleveland"], link)


def test_nobody_lets_a_node_in_but_the_coordinator(
    federation: tuple[Front, SuperLink, dict[str, Home]], tmp_path: Path
) -> None:
    """SuperLink's own commands, without the coordinator's password."""
    from flwr.proto.control_pb2 import ListNodesRequest, RegisterNodeRequest
    from flwr.supercore.control import ControlHttpClient
    from flwr.supercore.interceptors import RuntimeVersionHttpInterceptor

    from client.node.keys import node_key

    _, link, _ = federation
    client = ControlHttpClient.from_server_address(
        server_address=link.address,
        insecure=False,
        root_certificates=link.certificates.authority.read_bytes(),
        interceptors=[RuntimeVersionHttpInterceptor(component_name="flwr CLI")],
    )
    before = len(link.nodes())
    requests: list[tuple[Callable[[Any], Any], Any]] = [
        (client.ListNodes, ListNodesRequest()),
        (client.RegisterNode, RegisterNodeRequest(public_key=node_key(tmp_path / "key"), name="thief")),
    ]
    for ask, request in requests:
        with pytest.raises(httpx.HTTPStatusError) as error:
            ask(request)
        assert error.value.response.status_code == 404
    client.close()
    assert len(link.nodes()) == before


@pytest.mark.fault("coordinator's certificate renewed", "running", "shown without a restart")
def test_superlink_shows_a_renewed_certificate_without_a_restart(
    federation: tuple[Front, SuperLink, dict[str, Home]],
) -> None:
    door, link, homes = federation
    authority, pid = door.home.authority().pem, link.pid
    before = shown(link.address, authority).serial_number
    assert shown(link.address, authority).serial_number == before
    door.home.certificates.certificate.unlink()
    assert door.home.renew()
    nodes.wait_for(lambda: shown(link.address, authority).serial_number != before, "the new certificate")
    assert link.pid == pid
    assert is_let_in(homes["cleveland"], link)

"""A SuperLink that is played, for `memory.py`: any number of hospitals, pieces made when they are fetched."""

# ruff: noqa: N802, D102 - the names are Flower's

from __future__ import annotations

import json
import random
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from flwr.app import DEFAULT_TTL, Message, Metadata
from flwr.proto.message_pb2 import ObjectTree
from flwr.proto.node_pb2 import NodeInfo
from flwr.supercore.constant import HEAD_BODY_DIVIDER, HEAD_VALUE_DIVIDER
from flwr.supercore.inflatable.inflatable_object import get_all_nested_objects, get_object_tree
from flwr.supercore.run import Run
from flwr.supercore.task_identity import TaskIdentity
from torch import nn

from server.link.grid import NodeGrid
from tasks.contract import Task
from tasks.messages import Reply, pack_reply
from tasks.patients import TablePatients
from tasks.registry import installed
from tasks.study import Study, parse

PIECE = 5 * 2**20
AT_A_TIME = 30
PHASES = {"query": "enrol", "train": "train", "evaluate": "report"}


def study_of(side: int) -> tuple[Study, Task]:
    """One round of federated averaging, of one layer of side x side weights that nobody really trains."""

    def read(path: Path) -> TablePatients:
        raise NotImplementedError(path)

    task = Task(
        name="one-layer",
        version=1,
        summary="for measuring",
        schema=(),
        headline="none",
        model=lambda: nn.Linear(side, side, bias=False),
        loss=lambda o, t: o.mean(dim=1) - t,
        metrics=lambda o, t: {},  # noqa: ARG005
        hospitals=lambda folder: {},  # noqa: ARG005
        read=read,
        split=lambda patients: (np.arange(0), np.arange(0)),  # noqa: ARG005
    )
    installed()[task.name] = task
    return parse('name = "memory"\ntask = "one-layer"\nrounds = 1\n'), task


class PlayedGrid(NodeGrid):
    """The coordinator's own Grid, over the played link."""

    def __init__(self, hospitals: int, study: Study, task: Task, order: str) -> None:
        super().__init__("127.0.0.1:1", insecure=True, root_certificates=None, token="t")  # noqa: S106
        TaskIdentity.task_id, TaskIdentity.run_id, TaskIdentity.node_id = 1, 1, 1
        self.set_run(Run.create_empty(run_id=1))
        values = sum(parameter.numel() for parameter in task.model().parameters())
        self.link = PlayedLink(hospitals, study, values, order)

    @property
    def _runtime_client(self) -> Any:
        return self.link


class PlayedLink:
    """What the SuperLink answers, by the names that Flower gives its calls."""

    def __init__(self, hospitals: int, study: Study, values: int, order: str) -> None:
        self.names = {node: f"hospital-{node:03d}" for node in range(1, hospitals + 1)}
        self.study, self.values, self.order = study, values, order
        self.noise = np.random.default_rng(1).standard_normal(PIECE // 4).astype(np.float32)
        self.course: list[tuple[str, Any]] = []
        self.objects: dict[str, bytes] = {}
        self.pieces: dict[str, tuple[int, int]] = {}

    def GetNodes(self, _: Any) -> Any:
        return SimpleNamespace(
            nodes=[
                NodeInfo(node_id=node, name=name, last_activated_at="1") for node, name in self.names.items()
            ]
        )

    def PushMessages(self, request: Any) -> Any:
        names = [each.metadata.message_id for each in request.messages_list]
        asked = [each.metadata for each in request.messages_list]
        came = list(zip(names, asked, strict=True))
        if self.order == "shuffled":
            drawn = random.Random(1)  # noqa: S311
            parts = [came[start : start + AT_A_TIME] for start in range(0, len(came), AT_A_TIME)]
            came = [each for part in parts for each in drawn.sample(part, len(part))]
        self.course += came
        pushed = {name for tree in request.message_object_trees for name in _names(tree)}
        return SimpleNamespace(message_ids=names, objects_to_push=list(pushed), session_id="1")

    def PushObject(self, _: Any) -> Any:
        return SimpleNamespace(stored=True)

    def PullMessages(self, request: Any) -> Any:
        """One more has come whenever somebody looks."""
        wanted = set(request.message_ids)
        for place, (name, asked) in enumerate(self.course):
            if name in wanted:
                del self.course[place]
                tree = self._reply(asked)
                said = SimpleNamespace(metadata=SimpleNamespace(reply_to_message_id=name))
                return SimpleNamespace(messages_list=[said], message_object_trees=[tree])
        return SimpleNamespace(messages_list=[], message_object_trees=[])

    def PullObject(self, request: Any) -> Any:
        name = request.object_id
        content = self._piece(*self.pieces[name]) if name in self.pieces else self.objects[name]
        return SimpleNamespace(object_found=True, object_available=True, object_content=content)

    def ConfirmMessageReceived(self, _: Any) -> Any:
        self.objects, self.pieces = {}, {}

    def close(self) -> None:
        """Nothing is open."""

    def _reply(self, asked: Any) -> ObjectTree:
        """A real reply with one number, whose array is then said to have all the others."""
        phase: Any = PHASES[asked.message_type]
        number = {"enrol": 0, "train": 1, "report": 1}[phase]
        vector = np.ones(1, dtype=np.float32) if phase == "train" else None
        name = self.names[asked.dst_node_id]
        reply = Reply(name, phase, self.study.digest, number, vector, patients=50)
        metadata = Metadata(1, "", asked.dst_node_id, 1, asked.message_id, "1", 0.0, DEFAULT_TTL, "train")
        message = Message(content=pack_reply(reply), metadata=metadata)  # type: ignore[call-overload]
        message.metadata.__dict__["_message_id"] = message.object_id
        tree = get_object_tree(message)
        self.objects = {key: each.deflate() for key, each in get_all_nested_objects(message).items()}
        if vector is not None:
            self._enlarge(tree, asked.dst_node_id)
        return tree

    def _enlarge(self, tree: ObjectTree, node: int) -> None:
        [array] = [each for each in _trees(tree) if self.objects[each.object_id].startswith(b"Array ")]
        total = (self.values + 1) * 4
        names = [sha256(f"{node} {start}".encode()).hexdigest() for start in range(0, total, PIECE)]
        self.pieces = {name: (node, min(PIECE, total - number * PIECE)) for number, name in enumerate(names)}
        about = {"dtype": "<f4", "shape": [self.values + 1], "stype": "laennec.raw"}
        body = json.dumps({**about, "arraychunk_ids": list(range(len(names)))}).encode()
        self.objects[array.object_id] = _content("Array", names, body)
        del array.children[:]
        array.children.extend(ObjectTree(object_id=name) for name in names)

    def _piece(self, node: int, size: int) -> bytes:
        return _content("ArrayChunk", [], (self.noise[: size // 4] + np.float32(2 + node / 1000)).tobytes())


def _content(kind: str, children: list[str], body: bytes) -> bytes:
    head = f"{kind}{HEAD_VALUE_DIVIDER}{','.join(children)}{HEAD_VALUE_DIVIDER}{len(body)}"
    return head.encode() + HEAD_BODY_DIVIDER + body


def _trees(tree: ObjectTree) -> list[ObjectTree]:
    return [tree, *(each for child in tree.children for each in _trees(child))]


def _names(tree: ObjectTree) -> list[str]:
    return [each.object_id for each in _trees(tree)]

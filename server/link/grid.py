"""Flower's Grid over real nodes, which go and come back.

What is not public of Flower is looked after by `tests/deploy/test_flower_as_pinned.py`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass
from types import MappingProxyType

import httpx
from flwr.app import Error, Message, RecordDict
from flwr.proto.message_pb2 import ConfirmMessageReceivedRequest
from flwr.proto.node_pb2 import NodeInfo
from flwr.proto.runtime_pb2 import PullAppMessagesRequest
from flwr.supercore.inflatable.inflatable_object import InflatableObject
from flwr.supercore.inflatable.inflatable_protobuf_utils import make_pull_object_fn_protobuf
from flwr.supercore.inflatable.inflatable_utils import ObjectPullError
from flwr.supercore.retry import RetryInvoker, exponential
from flwr.supercore.runtime import RuntimeHttpClient
from flwr.superlink.grid import HttpGrid, http_grid

from ground.errors import FederationError
from server.link.arriving import Arriving

# Flower's codes for a message, a reply or a node that is not there; its own enumeration is not public.
LOST = (3, 4, 5)
UNAVAILABLE = 3
# Ours, for a reply that nobody takes: its reason says why.
REFUSED = 1000
MOST = 2**40  # bytes, where nobody said how many
RETRIES = 600.0  # seconds for which a coordinator that is away is asked again
LONGEST_PAUSE = 5  # seconds between two attempts
Watch = Callable[[int, int, int], None]


class NodeGrid(HttpGrid):
    """Flower's Grid, for hospitals that go and come back.

    A node that is killed loses the messages that it had taken, and nobody tells the coordinator; one that was
    away for a minute is reported gone. Here such a message is sent again once its node has signed on anew:
    hospitals answer one question once, however often it is asked. Only who stays away longer than `away`
    seconds is reported gone. Where `hospitals` is set, only nodes that were registered under these names are
    seen.
    """

    LOOK_EVERY = 0.5  # seconds between two looks at who signed on

    def __init__(
        self,
        address: str,
        *,
        insecure: bool,
        root_certificates: bytes | None,
        token: str,
        away: float = 120.0,
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        super().__init__(address, insecure, root_certificates, token=token)
        # Flower's own invoker interrupts the process where it is refused: this process is not only a Grid.
        self._retry_invoker = RetryInvoker(
            lambda: exponential(max_delay=LONGEST_PAUSE),
            httpx.TransportError,
            max_tries=None,
            max_time=RETRIES,
        )
        self._away = away
        self._headers = headers
        self.hospitals: frozenset[str] | None = None
        self._asked: dict[str, _Asked] = {}
        self._arriving: dict[str, Arriving] = {}
        self._watch: Watch = lambda *_: None
        self._most = MOST
        self._looked = 0.0

    @property
    def client(self) -> RuntimeHttpClient:
        """The runtime interface of the coordinator."""
        return self._runtime_client

    def _connect(self) -> None:
        """As Flower does it; the SuperLink asks our connections for more."""
        super()._connect()
        self.client._client.headers.update(self._headers)

    def get_nodes(self) -> Iterable[NodeInfo]:
        """The nodes that are there."""
        nodes = list(super().get_nodes())
        return nodes if self.hospitals is None else [each for each in nodes if each.name in self.hospitals]

    def patience(self, seconds: float) -> None:
        """How long a coordinator that does not answer is asked again."""
        self._retry_invoker.max_time = seconds

    def create_message(
        self,
        content: RecordDict,
        message_type: str,
        dst_node_id: int,
        group_id: str,
        ttl: float | None = None,
    ) -> Message:
        """A message to that node."""
        return Message(content, dst_node_id, message_type, ttl=ttl, group_id=group_id)

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """Send; gives their identifiers, in order."""
        sent = list(messages)
        signed_on = self._signed_on()
        names = [str(name) for name in super().push_messages(sent)]
        for name, message in zip(names, sent, strict=True):
            self._asked[name] = _Asked(message, name, signed_on.get(message.metadata.dst_node_id, ""))
        return names

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """A reply that has come, if any, to the identifiers that `push_messages` gave.

        One at a time, so that a model's numbers are held once however many hospitals send theirs.
        """
        asked = {name: self._asked[name] for name in message_ids if name in self._asked}
        if time.monotonic() - self._looked > self.LOOK_EVERY:
            self._ask_again(asked.values())
        for first, each in asked.items():
            if each.lost is not None and time.monotonic() - each.since > self._away:
                return [self._reply(first, each.lost)]
        under_way = {each.name: first for first, each in asked.items() if each.lost is None}
        while under_way and (message := self._next(under_way)) is not None:
            first = under_way.pop(message.metadata.reply_to_message_id)
            each = asked[first]
            if message.has_error() and message.error.code in LOST:
                each.lost, each.since = message, time.monotonic()
                continue
            return [self._reply(first, message)]
        return []

    def forget(self, message_ids: Iterable[str]) -> None:
        """What is not asked for any more."""
        for name in message_ids:
            each = self._asked.pop(name, None)
            if each is not None:
                self._arriving.pop(each.name, None)

    def watch(self, watch: Watch) -> None:
        """Who hears, of a reply that is being sent: its node, bytes that are here, bytes in all, about."""
        self._watch = watch

    def limit(self, most: int) -> None:
        """How many bytes of numbers a reply may have from now on."""
        self._most = most

    def _reply(self, first: str, message: Message) -> Message:
        self._arriving.pop(self._asked.pop(first).name, None)
        message.metadata.__dict__["_reply_to_message_id"] = first
        return message

    def _next(self, under_way: Mapping[str, str]) -> Message | None:
        """A reply that is complete: what it answers is the name of the question as it was sent last."""
        new = [name for name in under_way if name not in self._arriving]
        if new:
            answer = self.client.PullMessages(PullAppMessagesRequest(message_ids=new))
            for said, tree in zip(answer.messages_list, answer.message_object_trees, strict=True):
                self._arriving[said.metadata.reply_to_message_id] = Arriving(tree, self._most)
        for name in [name for name in under_way if name in self._arriving]:
            if (message := self._fetch(name, self._asked[under_way[name]].node)) is not None:
                return message
        return None

    def _fetch(self, name: str, node: int) -> Message | None:
        """The reply to that question, if it is complete; an error where it never will be, or is refused."""
        arriving = self._arriving[name]
        before = arriving.fetched
        pull = make_pull_object_fn_protobuf(self.client.PullObject, self.node, self.run.run_id)
        try:
            message = arriving.fetch(pull)
        except ObjectPullError:
            return self._failed(name, UNAVAILABLE, "its reply was not sent to its end")
        except FederationError as error:
            return self._failed(name, REFUSED, str(error))
        if arriving.fetched > before:
            self._watch(node, arriving.fetched, arriving.fetched if message else arriving.total)
        if message is not None:
            del self._arriving[name]
            self._confirm(arriving.tree.object_id)
            message.metadata.__dict__["_reply_to_message_id"] = name
        return message

    def _failed(self, name: str, code: int, why: str) -> Message:
        self._confirm(self._arriving.pop(name).tree.object_id)
        source = next(each.message for each in self._asked.values() if each.name == name)
        failed = Message(Error(code, why), reply_to=source)
        failed.metadata.__dict__["_reply_to_message_id"] = name
        return failed

    def _confirm(self, name: str) -> None:
        """The SuperLink need not keep it any longer."""
        self.client.ConfirmMessageReceived(
            ConfirmMessageReceivedRequest(node=self.node, run_id=self.run.run_id, message_object_id=name)
        )

    def _signed_on(self) -> dict[int, str]:
        """Node -> when it signed on last, of those that are there."""
        self._looked = time.monotonic()
        return {node.node_id: node.last_activated_at for node in self.get_nodes()}

    def _ask_again(self, asked: Iterable[_Asked]) -> None:
        """Send again what was lost, and what was sent to a node's former life."""
        signed_on = self._signed_on()
        for each in asked:
            now = signed_on.get(each.node)
            if now is None or (now == each.signed_on and each.lost is None):
                continue
            old = each.message.metadata
            each.message = self.create_message(
                each.message.content, old.message_type, old.dst_node_id, old.group_id, old.ttl
            )
            self._arriving.pop(each.name, None)
            [each.name] = super().push_messages([each.message])
            each.signed_on, each.lost = now, None


@dataclass(eq=False)
class _Asked:
    """A message under way: its name when sent last, in which life of its node; lost as what, since when."""

    message: Message
    name: str
    signed_on: str
    lost: Message | None = None
    since: float = 0.0

    @property
    def node(self) -> int:
        """Whom it was sent to."""
        return int(self.message.metadata.dst_node_id)


def _push_objects(
    objects: dict[str, InflatableObject],
    push_object_fn: Callable[[str, bytes], None],
    *,
    object_ids_to_push: Set[str],
) -> None:
    """Flower's own makes the bytes of all before the first is sent; here of one after the other."""
    for name in [name for name in objects if name in object_ids_to_push]:
        push_object_fn(name, objects[name].deflate())


vars(http_grid).update(push_objects=_push_objects)

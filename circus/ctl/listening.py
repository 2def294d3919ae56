"""`listen`: events to standard output, until interrupted."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

import zmq

from circus.common.names import DEFAULT_ENDPOINT_SUB
from circus.ctl.diagnose import RETRY, diagnose
from circus.ctl.global_options import Globals
from circus.ctl.output import FAILED, say
from circus.exc import CallError
from circus.wire.client import CircusClient, make_message
from circus.wire.consumer import CircusConsumer

_ANY_HOST = ("*", "0.0.0.0", "[::]")  # noqa: S104  # what a daemon may be bound to, to be replaced by where it is


def listen(options: Globals, words: Sequence[str], as_json: bool = False) -> int:
    """Print `topic: payload`, or one JSON object a line, for every event that fits one of the topics.

    Ends by KeyboardInterrupt, or by BrokenPipeError as soon as what is printed is not read any more.
    """
    endpoints = [word for word in words if "://" in word]
    topics = [word for word in words if "://" not in word]
    try:
        endpoint = event_endpoint(options, endpoints[0] if endpoints else options.endpoint)
        with CircusConsumer(
            topics or [""], endpoint=endpoint, ssh_server=options.ssh, ssh_keyfile=options.ssh_keyfile, json=as_json
        ) as consumer:
            _wait(consumer)
            for event in consumer:
                say(json.dumps(event) if as_json else _plain(*event))
                _wait(consumer)
    except CallError as exc:
        say(f"error: {exc}", sys.stderr)
    return FAILED


def _plain(topic: bytes, payload: bytes) -> str:
    return f"{topic.decode('utf-8', 'replace')}: {payload.decode('utf-8', 'replace')}"


def _wait(consumer: CircusConsumer) -> None:
    """Until there is something to print. `listen | head -1` ends with `head`, not with the next event."""
    poller: Any = zmq.Poller()
    poller.register(consumer.pubsub_socket, zmq.POLLIN)
    poller.register(sys.stdout.fileno(), zmq.POLLERR)  # a pipe without a reader, poll(2)
    if consumer.tunnel is not None:
        poller.register(consumer.tunnel, zmq.POLLIN)
    while consumer.pubsub_socket not in (ready := dict(poller.poll())):
        if sys.stdout.fileno() in ready:
            raise BrokenPipeError
        assert consumer.tunnel is not None
        consumer.tunnel.check()


def event_endpoint(options: Globals, given: str | None) -> str:
    """Where the events are. `given` is that, or the control endpoint of a daemon, which knows.

    So does the one the environment names; that is never an event endpoint itself.
    """
    control = given or options.env_endpoint
    if control is None:
        return DEFAULT_ENDPOINT_SUB
    with options.client(control) as client:
        finding = diagnose(control, client.tunnel)
        if finding.socket_type == "ROUTER":
            return _ask_for_events(client)
    if given is not None and finding.verdict == RETRY:
        say(f"nobody publishes at {given} yet; waiting", sys.stderr)
    return given or DEFAULT_ENDPOINT_SUB


def _ask_for_events(client: CircusClient) -> str:
    reply = client.call(make_message("globaloptions", option="pubsub_endpoint"))
    endpoint = reply.get("options", {}).get("pubsub_endpoint")
    if not isinstance(endpoint, str):
        raise CallError(f"{client.endpoint} does not tell where its events are: {reply.get('reason')}")
    return _reachable(endpoint, client.endpoint)


def _reachable(endpoint: str, control: str) -> str:
    """An endpoint bound to every address, by the host through which the daemon was reached."""
    host, colon, port = endpoint.removeprefix("tcp://").rpartition(":")
    if not endpoint.startswith("tcp://") or host not in _ANY_HOST:
        return endpoint
    own = control.removeprefix("tcp://").rpartition(":")[0] if control.startswith("tcp://") else "127.0.0.1"
    return f"tcp://{own}{colon}{port}"

"""The control and event sockets, with frames as any client may send them."""

import json
import os
import socket
import stat

import pytest
import zmq

from circus.loop import Loop
from circus.wire.discovery import Discovery
from circus.wire.endpoint import EndpointError
from circus.wire.publisher import Publisher
from circus.wire.server import RequestServer
from tests.real.support import background, free_port, wait_for

pytestmark = pytest.mark.usefixtures("nobody_left")


@pytest.fixture
def arbiter(tmp_path):
    with background(tmp_path, {"name": "a", "cmd": "sleep 60"}) as arbiter:
        yield arbiter


@pytest.fixture
def connect(arbiter):
    sockets = []
    context = zmq.Context()

    def make(kind):
        sock = context.socket(kind)
        sock.linger = 0
        sock.connect(arbiter.endpoint)
        sockets.append(sock)
        return sock

    yield make
    for sock in sockets:
        sock.close()
    context.term()


def answer(sock):
    assert sock.poll(5000), "no answer"
    return sock.recv_multipart()


def ask(sock, *frames):
    sock.send_multipart(list(frames))
    return json.loads(answer(sock)[-1])


STATUS = b'{"command": "status", "id": 1}'


def test_dealer_gets_one_frame(connect):
    sock = connect(zmq.DEALER)
    sock.send(STATUS)
    (body,) = answer(sock)
    assert json.loads(body)["statuses"] == {"a": "active"}


def test_client_with_an_empty_frame_gets_it_back(connect):
    assert ask(connect(zmq.REQ), STATUS)["id"] == 1
    sock = connect(zmq.DEALER)
    sock.send_multipart([b"", STATUS])
    assert answer(sock)[0] == b""


@pytest.mark.parametrize("body", [b"", b"   ", b"nonsense", b"[1]", b'"x"', b"\xff\xfe", b"null", b"{" * 9000])
def test_body_that_is_no_object_is_answered_and_the_next_request_too(connect, body):
    sock = connect(zmq.DEALER)
    reply = ask(sock, body)
    assert (reply["status"], reply["errno"]) == ("error", 1)
    assert ask(sock, STATUS)["status"] == "ok"


@pytest.mark.parametrize("body", [b"{}", b'{"command": null}', b'{"command": 7}', b'{"command": "fly"}'])
def test_command_that_is_missing_or_unknown_is_answered(connect, body):
    assert ask(connect(zmq.DEALER), body)["errno"] == 2


def test_too_many_frames_are_answered_as_an_error(connect):
    sock = connect(zmq.DEALER)
    assert ask(sock, b"a", b"b", b"c", b"d")["status"] == "error"
    assert ask(sock, STATUS)["status"] == "ok"


def test_cast_is_never_answered_not_even_its_errors(connect):
    sock = connect(zmq.DEALER)
    sock.send(b'{"command": "fly", "msg_type": "cast", "id": "cast"}')
    sock.send(b'{"command": "status", "msg_type": "cast", "id": "cast"}')
    assert ask(sock, STATUS)["id"] == 1
    assert not sock.poll(50)


def test_wrong_properties_get_their_error_numbers(connect):
    sock = connect(zmq.DEALER)
    unknown = ask(sock, b'{"command": "stop", "properties": {"name": "nobody"}}')
    assert (unknown["errno"], unknown["reason"]) == (3, "program nobody not found")
    missing = ask(sock, b'{"command": "incr"}')
    assert (missing["errno"], missing["reason"]) == (3, "message invalid 'name' is missing")


def test_a_thousand_requests_at_once_are_all_answered(connect):
    sock = connect(zmq.DEALER)
    for number in range(1000):
        sock.send(json.dumps({"command": "numwatchers", "id": number}).encode())
    assert {json.loads(answer(sock)[-1])["id"] for _ in range(1000)} == set(range(1000))


def test_reply_for_a_client_that_left_disturbs_nobody(connect):
    for _ in range(20):
        gone = connect(zmq.DEALER)
        gone.send(STATUS)
        gone.close()
    assert ask(connect(zmq.DEALER), STATUS)["status"] == "ok"


# ---- binding -----------------------------------------------------------------------------------------------------


@pytest.fixture
def loop():
    loop = Loop()
    yield loop
    loop.close()


@pytest.fixture
def context():
    context = zmq.Context()
    yield context
    context.term()


def serve(context, loop, endpoint):
    server = RequestServer(context, endpoint, loop, lambda address, body: None)
    server.start()
    return server


def test_ipc_socket_is_for_its_owner_only(context, loop, tmp_path):
    server = serve(context, loop, f"ipc://{tmp_path}/s")
    assert stat.S_IMODE(os.stat(tmp_path / "s").st_mode) == 0o600
    server.close()


def test_port_zero_is_filled_in(context, loop):
    server = serve(context, loop, "tcp://127.0.0.1:0")
    assert int(server.endpoint.rpartition(":")[2]) > 0
    server.close()


def test_ipc_socket_of_a_killed_daemon_is_taken_over(context, loop, tmp_path):
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "s"))
    serve(context, loop, f"ipc://{tmp_path}/s").close()


def test_ipc_socket_of_a_living_daemon_is_left_alone(context, loop, tmp_path):
    first = serve(context, loop, f"ipc://{tmp_path}/s")
    with pytest.raises(EndpointError, match="in use"):
        serve(context, loop, f"ipc://{tmp_path}/s")
    with socket.socket(socket.AF_UNIX) as probe:
        probe.connect(str(tmp_path / "s"))
    first.close()


@pytest.mark.parametrize(
    ("endpoint", "text"),
    [
        ("ipc:///no/such/dir/s", "no directory"),
        ("ipc:///tmp/" + "x" * 200, "longer than"),
        ("nonsense", "use tcp://"),
        ("tcp://192.0.2.1:5000", "no such address"),
    ],
)
def test_endpoint_that_cannot_be_bound_says_why(context, loop, endpoint, text):
    with pytest.raises(EndpointError, match=text):
        serve(context, loop, endpoint)


def test_file_that_is_no_socket_is_not_removed(context, loop, tmp_path):
    (tmp_path / "s").write_text("precious")
    with pytest.raises(EndpointError, match="no socket"):
        serve(context, loop, f"ipc://{tmp_path}/s")
    assert (tmp_path / "s").read_text() == "precious"


def test_port_in_use_says_so_for_events_too(context):
    first = Publisher(context, f"tcp://127.0.0.1:{free_port()}")
    first.start()
    with pytest.raises(EndpointError, match=r"pubsub_endpoint .* in use"):
        Publisher(context, first.endpoint).start()
    first.close()
    first.send([b"topic", b"{}"])  # closed: nobody hears it, and nobody minds


# ---- discovery ---------------------------------------------------------------------------------------------------


def test_discovery_answers_any_datagram_with_the_endpoint(loop):
    port = free_port()
    discovery = Discovery(f"udp://237.219.251.97:{port}", "tcp://127.0.0.1:5555", loop)
    discovery.start()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.bind(("127.0.0.1", 0))
        client.sendto(b'""', ("127.0.0.1", port))
        loop.call_later(0.2, loop.stop)
        loop.run()
        client.settimeout(2)
        assert json.loads(client.recv(1000)) == {"endpoint": "tcp://127.0.0.1:5555"}
    discovery.close()
    discovery.close()


def udp_sockets():
    """Inodes of all UDP sockets of this system (proc(5))."""
    with open("/proc/net/udp") as file:
        return [line.split()[9] for line in file.readlines()[1:]]


def own_sockets():
    links = []
    for fd in os.listdir("/proc/self/fd"):
        try:
            links.append(os.readlink(f"/proc/self/fd/{fd}"))
        except OSError:  # that of the listing itself
            continue
    return links


def test_discovery_is_off_unless_configured(tmp_path):
    with background(tmp_path, multicast_endpoint=None):
        mine = own_sockets()
        assert [inode for inode in udp_sockets() if f"socket:[{inode}]" in mine] == []


@pytest.mark.parametrize("endpoint", ["udp://127.0.0.1:9", "tcp://237.219.251.97:9", "udp://237.1.1.1:x", "rubbish"])
def test_discovery_that_cannot_be_opened_is_a_warning(loop, endpoint, caplog):
    Discovery(endpoint, "tcp://127.0.0.1:1", loop).start()
    assert "discovery is off" in caplog.text


def test_figures_come_without_holding_up_the_loop(arbiter):
    (watcher,) = arbiter.watchers
    wait_for(watcher.get_active_pids)
    (pid,) = watcher.get_active_pids()
    figures = arbiter.stats(["a"], pid, False).result(5)
    assert figures["a"][pid]["cmdline"] == "sleep"
    assert arbiter.dstats().result(5)["pid"] == os.getpid()

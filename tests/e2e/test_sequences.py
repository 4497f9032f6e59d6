"""Every way to come and go: the exact events in the log, and the same final status everywhere."""

import time

import pytest

from harness.procs import wait_until
from harness.rollcall import GROUP, TOPIC, Device, Rollcall, Watch


@pytest.fixture
def server(tmp_path):
    server = Rollcall(tmp_path / "rollcall").start()
    yield server
    server.stop()


def kinds(events):
    return [kind for kind, _, _ in events]


def assert_times_grow(events):
    times = [time for _, _, time in events]
    assert times == sorted(set(times)), times


def test_a_graceful_close_is_connect_disconnect_tcpclean_of_one_channel(server):
    Device(server, "a").disconnect()
    time.sleep(0.3)
    server.stop()
    events = server.events(f"{GROUP}@@@a")
    assert kinds(events) == ["connect", "disconnect", "tcpclean"]
    assert len({channel for _, channel, _ in events}) == 1
    assert_times_grow(events)
    server.check()


def test_a_cut_connection_is_connect_tcpclean(server):
    Device(server, "b").cut()
    time.sleep(0.3)
    server.stop()
    assert kinds(server.events(f"{GROUP}@@@b")) == ["connect", "tcpclean"]


def test_a_silent_client_is_cleaned_after_one_and_a_half_keep_alives(server):
    device = Device(server, "c", keep_alive=2)
    begun = time.monotonic()
    with pytest.raises(ConnectionError):
        device.receive()
    assert 2.9 <= time.monotonic() - begun < 6
    server.stop()
    assert kinds(server.events(f"{GROUP}@@@c")) == ["connect", "tcpclean"]


def test_a_takeover_cleans_the_old_channel_before_the_new_one_connects(server):
    old = Device(server, "d")
    new = Device(server, "d")
    assert new.code == 0
    with pytest.raises(ConnectionError):
        old.receive()
    new.disconnect()
    time.sleep(0.3)
    server.stop()
    events = server.events(f"{GROUP}@@@d")
    assert kinds(events) == ["connect", "tcpclean", "connect", "disconnect", "tcpclean"]
    assert events[0][1] == events[1][1] != events[2][1]
    assert_times_grow(events)


def test_a_refused_login_is_no_event(server):
    assert Device(server, "e", secret="wrong").code == 4
    assert Device(server, "e", group="GID_nobody").code == 5
    assert Device(server, "e e").code == 2
    server.stop()
    assert not [m for m in server.dump() if m["topic"] == TOPIC]


def test_a_server_stop_cleans_every_channel(server):
    devices = [Device(server, f"f{i}") for i in range(50)]
    server.stop()
    for device in devices:
        assert kinds(server.events(device.client_id)) == ["connect", "tcpclean"]
    server.check()


def test_after_kill_9_every_open_channel_is_cleaned_at_the_next_start(server):
    devices = [Device(server, f"g{i}") for i in range(50)]
    server.kill()
    server.start()
    again = Device(server, "g0")
    again.disconnect()
    time.sleep(0.3)
    server.stop()
    server.check()
    for device in devices[1:]:
        events = server.events(device.client_id)
        assert kinds(events) == ["connect", "tcpclean"]
        assert_times_grow(events)
    events = server.events(devices[0].client_id)
    assert kinds(events) == ["connect", "tcpclean", "connect", "disconnect", "tcpclean"]
    assert_times_grow(events)


@pytest.mark.parametrize("driver_name", ["ons", "rmq49", "rmq53"])
def test_java_consumers_and_ours_end_with_the_same_status(request, server, tmp_path, driver_name):
    driver = request.getfixturevalue(driver_name)
    keys = {"ak": "TestAccessKey", "sk": "TestSecretKey"}
    consumer = f"status-{driver_name}"
    driver.call("push", name=consumer, group=f"GID_{driver_name}", topic=TOPIC, tags="connect||tcpclean",
                namesrv=server.namesrv, **keys)
    watch = Watch(server, tmp_path)
    stays, goes = f"{GROUP}@@@stays", f"{GROUP}@@@goes"
    old, kept, leaver = Device(server, "stays"), Device(server, "stays"), Device(server, "goes")
    leaver.disconnect()
    driver.wait_messages("five events", consumer, lambda lines: len(lines) >= 5, 60)
    watch.wait("six events", lambda lines: len(lines) >= 6, 40)
    # A line is printed just before the demo's logic takes its event: give the last one a moment.
    wait_until("the demo's logic to agree", lambda: driver.call("online", client=stays) is True and
               driver.call("online", client=goes) is False)
    assert watch.online(stays) is True
    assert watch.online(goes) is False
    driver.call("stop", name=consumer)
    watch.close()
    kept.disconnect()
    old.socket.close()

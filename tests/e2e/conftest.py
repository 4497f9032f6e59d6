"""Fixtures shared by all tests, and the closing line that the caller counts."""

import pytest

from harness.apache import RealCluster
from harness.clients import Client
from harness.jvm import Driver
from harness.sides import Apache, Own


@pytest.fixture
def clients():
    """Makes paho clients, and closes them in the end."""
    made = []

    def make(*args, **more):
        made.append(Client(*args, **more))
        return made[-1]
    yield make
    for client in made:
        client.close()


SOON = {"registerNameServerPeriod": 10000}  # how long a name server that was started again knows nobody


@pytest.fixture(scope="session")
def cluster49(tmp_path_factory):
    cluster = RealCluster(tmp_path_factory.mktemp("cluster49"), 49, settings=SOON).start()
    yield cluster
    cluster.stop()


@pytest.fixture(scope="session")
def cluster53(tmp_path_factory):
    cluster = RealCluster(tmp_path_factory.mktemp("cluster53"), 53, settings=SOON).start()
    yield cluster
    cluster.stop()


@pytest.fixture(params=["own", "cluster49", "cluster53"])
def side(request):
    """Where RocketMQ is: this server's own endpoint, or a real cluster."""
    return Own() if request.param == "own" else Apache(request.getfixturevalue(request.param))


def _driver(flavour, factory, **options):
    driver = Driver(flavour, factory.mktemp(flavour), **options)
    yield driver
    driver.close()


@pytest.fixture(scope="module")
def ons(tmp_path_factory):
    yield from _driver("ons", tmp_path_factory)


@pytest.fixture(scope="module")
def rmq49(tmp_path_factory):
    yield from _driver("rmq49", tmp_path_factory)


@pytest.fixture(scope="module")
def rmq53(tmp_path_factory):
    yield from _driver("rmq53", tmp_path_factory)


def pytest_terminal_summary(terminalreporter):
    stats = terminalreporter.stats
    failed = len(stats.get("failed", [])) + len(stats.get("error", []))
    counts = f"{len(stats.get('passed', []))} passed, {failed} failed, {len(stats.get('skipped', []))} skipped"
    terminalreporter.write_line(counts)

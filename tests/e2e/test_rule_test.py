"""rollcall rule test: what is in the way of a rule, found without putting anything into its topic."""

import pytest

from harness.apache import RealCluster, ask
from harness.procs import wait_until
from harness.rollcall import AK, SK
from test_flow_clusters import make
from test_flows import Producer
from test_rules import tried

RESTRICTED = """
- accessKey: ReaderKey
  secretKey: SecretOfReader
  defaultTopicPerm: SUB
  defaultGroupPerm: SUB
- accessKey: WriterKey
  secretKey: SecretOfWriter
  defaultTopicPerm: PUB
  defaultGroupPerm: PUB
"""


@pytest.mark.parametrize("cluster_name", ["cluster49", "cluster53"])
def test_what_is_tried_is_not_put_into_the_topic(cluster_name, request, rmq49, tmp_path):
    cluster = request.getfixturevalue(cluster_name)
    out_topic, in_topic = f"GID_tried_out_{cluster.version}", f"GID_tried_in_{cluster.version}"
    for topic, perm in ((out_topic, "6"), (in_topic, "4")):  # the other may only be read
        code, body = ask(cluster.broker_port, 17, topic=topic, defaultTopic="TBW102", readQueueNums="2", writeQueueNums="2",
                         perm=perm, topicFilterType="SINGLE_TAG", topicSysFlag="0", order="false")
        assert code == 0, body
    server = make(tmp_path, cluster, out_topic, in_topic)
    wait_until("both to be well", lambda: tried(server)[0] == 0, 60)
    assert tried(server)[1] == (f"rc-test/out-1 -> apache/{out_topic}: ok, queues=2 brokers=1\n"
                                f"rc-test/in-1 <- apache/{in_topic}: ok, queues=2 brokers=1\n")
    name = f"tried-{cluster.version}"
    rmq49.call("push", name=name, group=f"GID_{name}", topic=out_topic, namesrv=cluster.namesrv, **{"from": "first"})
    producer = Producer(rmq49, cluster.namesrv)
    producer.send(out_topic, "the only one")
    rmq49.wait_messages("the marker", name, lambda lines: lines, 60)
    assert [line["message"]["body"] for line in rmq49.messages(name)] == ["the only one"]
    rmq49.call("stop", name=name)
    producer.close()


def test_what_keys_may_not_is_found_out(rmq49, tmp_path):
    cluster = RealCluster(tmp_path / "apache", 49, acl=(AK, SK))
    accounts = tmp_path / "apache" / "conf" / "plain_acl.yml"
    accounts.write_text(accounts.read_text() + RESTRICTED)
    cluster.start()
    try:
        maker = Producer(rmq49, cluster.namesrv, ak=AK, sk=SK)
        for topic in ("GID_out", "GID_in"):
            maker.send(topic, "makes the topic")
        maker.close()
        for key, secret, out, into in ((AK, SK, "ok", "ok"), ("ReaderKey", "SecretOfReader", "no permission", "ok"),
                                       ("WriterKey", "SecretOfWriter", "ok", "no permission")):
            server = make(tmp_path / key, cluster, "GID_out", "GID_in", f", access_key: {key}, secret_key: {secret}")
            code, said = tried(server)
            words = dict(line.split(": ", 2)[:2] for line in said.splitlines())
            words = {name.split("/")[1].split(" ")[0]: text.split(",")[0] for name, text in words.items()}
            assert words == {"out-1": out, "in-1": into}, said
            assert code == (0 if (out, into) == ("ok", "ok") else 1)
    finally:
        cluster.stop()

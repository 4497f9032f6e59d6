"""The test programs themselves, against a real Apache RocketMQ: what they report there is what the others rely on."""

import pytest

pytestmark = pytest.mark.apache
CLUSTERS = ["cluster49", "cluster53"]
DRIVERS = ["rmq49", "rmq53"]


@pytest.mark.parametrize("cluster_name", CLUSTERS)
@pytest.mark.parametrize("driver_name", DRIVERS)
def test_a_sent_message_comes_to_the_push_consumer_with_every_field(request, cluster_name, driver_name):
    cluster = request.getfixturevalue(cluster_name)
    driver = request.getfixturevalue(driver_name)
    topic = f"T_{cluster_name}_{driver_name}"
    driver.call("producer", name="p" + topic, namesrv=cluster.namesrv)
    sent = driver.call("send", name="p" + topic, topic=topic, tags="connect", keys="k1", body="hello",
                       properties={"colour": "red"})
    assert sent["status"] == "SEND_OK"
    driver.call("push", name="c" + topic, group="G" + topic, topic=topic, namesrv=cluster.namesrv, **{"from": "first"})
    line = driver.wait_messages("the message", "c" + topic, lambda lines: lines and lines[0])
    message = line["message"]
    assert message["body"] == "hello"
    assert message["properties"]["colour"] == "red"
    assert message["msgId"] == sent["msgId"]
    assert message["offsetMsgId"] == sent["offsetMsgId"]
    driver.call("stop", name="c" + topic)
    driver.call("stopProducer", name="p" + topic)

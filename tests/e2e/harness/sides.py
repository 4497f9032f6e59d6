"""The RocketMQ side of rules: this server's own endpoint, or a real Apache cluster that rules lead to and from."""

from .rollcall import AK, SK


class Own:
    """This server's own endpoint. Methods give the pieces of configuration and addresses that a test needs."""
    more, version = "", "own"
    keys = {"ak": AK, "sk": SK}

    def source(self, topic):
        return f"topic: {topic}"

    def target(self, topic):
        return f"topic: {topic}"

    def namesrv(self, server):
        return server.namesrv

    def make_topic(self, topic):
        """The endpoint makes a rule's topic with the rule."""


class Apache(Own):
    keys = {}

    def __init__(self, cluster):
        self.cluster = cluster
        self.version = cluster.version
        self.more = f", instances: [{{name: apache, nameservers: ['{cluster.namesrv}']}}]"

    def source(self, topic):
        return f"instance: apache, topic: {topic}"

    def target(self, topic):
        return f"target: {{instance: apache, topic: {topic}}}"

    def namesrv(self, server):
        return self.cluster.namesrv

    def make_topic(self, topic):
        self.cluster.create_topic(topic)

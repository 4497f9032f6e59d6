"""A real Apache RocketMQ name server and broker, in little memory and in a directory of its own."""

import json
import pathlib
import socket
import struct

from .procs import BUILD, Process, free_port, port_answers, wait_until

LOGBACK = """<configuration><appender name="file" class="ch.qos.logback.core.FileAppender"><file>{file}</file>
<encoder><pattern>%d %p %t - %m%n</pattern></encoder></appender>
<root level="{level}"><appender-ref ref="file"/></root></configuration>
"""
PLAIN_ACL = """accounts:
- accessKey: {ak}
  secretKey: {sk}
  admin: true
"""


def ask(port, code, host="127.0.0.1", **fields):
    """One request to a name server or broker: (code, body) of the answer."""
    header = json.dumps({"code": code, "language": "JAVA", "version": 409, "opaque": 1, "flag": 0,
                         "extFields": fields}).encode()
    with socket.create_connection((host, port), 5) as client:
        client.sendall(struct.pack(">II", 4 + len(header), len(header)) + header)
        reply = client.makefile("rb")
        total, length = struct.unpack(">II", reply.read(8))
        return json.loads(reply.read(length))["code"], reply.read(total - 4 - length).decode()


def route(port, topic, host="127.0.0.1", **fields):
    """What a name server answers to request 105: (code, body)."""
    return ask(port, 105, host, topic=topic, **fields)


def has_route(port, topic):
    """Whether the name server knows where the topic is."""
    return route(port, topic)[0] == 0


class RealCluster:
    """`version`: 49 or 53. `acl`: (access key, secret key). `settings` override the broker's configuration.

    `accounts`: further accounts with fewer rights, in the words of plain_acl.yml; 5.x takes them over from there.

    `options` are further options of both JVMs, `broker_options` of the broker's.
    `beside` another cluster: a further broker of it, for start_broker.
    With `store` the broker takes that directory as its own; it must be a copy that nobody else uses."""

    def __init__(self, home, version=49, acl=None, store=None, settings=None, options=(), broker_options=(),
                 beside=None, accounts=""):
        self.home = pathlib.Path(home)
        self.version = version
        self.options, self.broker_options = options, broker_options
        self.store = pathlib.Path(store or self.home / "store")
        self.namesrv_port = beside.namesrv_port if beside else free_port()
        self.broker_port = free_port(before=2, behind=1)
        self.namesrv = f"127.0.0.1:{self.namesrv_port}"
        self.name = "broker-b" if beside else "broker-a"
        self._processes = []
        self.broker = None
        conf = self.home / "conf"
        conf.mkdir(parents=True, exist_ok=True)
        for part in ("namesrv", "broker", "tools"):
            (conf / f"logback_{part}.xml").write_text(LOGBACK.format(file=self.home / f"{part}.log", level="WARN"))
        if acl and (version == 49 or accounts):
            (conf / "plain_acl.yml").write_text(PLAIN_ACL.format(ak=acl[0], sk=acl[1]) + accounts)
        rights = self._authorization() if accounts and version == 53 else {}
        self._write_config(conf, acl, {**rights, **(settings or {})})

    def _write_config(self, conf, acl, settings):
        broker = {
            "brokerClusterName": "DefaultCluster", "brokerName": self.name, "brokerId": 0, "brokerIP1": "127.0.0.1",
            "listenPort": self.broker_port, "namesrvAddr": self.namesrv, "autoCreateTopicEnable": "true",
            "autoCreateSubscriptionGroup": "true", "storePathRootDir": self.store,
            "storePathCommitLog": self.store / "commitlog", "mappedFileSizeCommitLog": 16 << 20,
            "mappedFileSizeConsumeQueue": 6000, "maxHashSlotNum": 5000, "maxIndexNum": 20000,
            "diskMaxUsedSpaceRatio": 99, "flushDiskType": "ASYNC_FLUSH", "aclEnable": "true" if acl else "false",
        }
        if self.version == 53:
            del broker["aclEnable"]
            broker["timerWheelEnable"] = "false"
            broker.update(self._authentication(acl) if acl else {})
        broker.update(settings)
        (conf / "broker.conf").write_text("".join(f"{k}={v}\n" for k, v in broker.items() if v is not None))
        (conf / "namesrv.conf").write_text(
            f"listenPort={self.namesrv_port}\nkvConfigPath={self.home}/kv.json\nrocketmqHome={self.home}\n")

    @staticmethod
    def _authentication(acl):
        """What 5.x has instead of plain_acl."""
        package = "org.apache.rocketmq.auth.authentication.provider"
        return {"authenticationEnabled": "true",
                "authenticationProvider": f"{package}.DefaultAuthenticationProvider",
                "authenticationMetadataProvider": f"{package}.LocalAuthenticationMetadataProvider",
                "initAuthenticationUser": json.dumps({"username": acl[0], "password": acl[1]}),
                "innerClientAuthenticationCredentials": json.dumps({"accessKey": acl[0], "secretKey": acl[1]})}

    @staticmethod
    def _authorization():
        """What 5.x has instead of plain_acl's rights; it makes them of that file at its start."""
        package = "org.apache.rocketmq.auth.authorization.provider"
        return {"authorizationEnabled": "true", "migrateAuthFromV1Enabled": "true",
                "authorizationProvider": f"{package}.DefaultAuthorizationProvider",
                "authorizationMetadataProvider": f"{package}.LocalAuthorizationMetadataProvider"}

    def _java(self, main, config, heap, *options):
        return ["java", "-Xms32m", f"-Xmx{heap}m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xss512k",
                "-XX:MaxDirectMemorySize=256m", "-Djava.net.preferIPv4Stack=true", f"-Duser.home={self.home}",
                f"-Drocketmq.home.dir={self.home}", "-Drocketmq.broker.diskSpaceWarningLevelRatio=0.99",
                "--add-opens=java.base/java.nio=ALL-UNNAMED", "--add-opens=java.base/sun.nio.ch=ALL-UNNAMED",
                "--add-exports=java.base/jdk.internal.ref=ALL-UNNAMED", *options,
                "-cp", f"{BUILD}/java/server{self.version}/lib/*", main, "-c", config]

    def start(self):
        if not self._processes:
            self.start_namesrv()
        self.start_broker()
        return self

    def start_namesrv(self):
        self.namesrv_process = self._spawn("namesrv", self._java(
            "org.apache.rocketmq.namesrv.NamesrvStartup", self.home / "conf" / "namesrv.conf", 96,
            *self.options))
        wait_until("the name server's port", lambda: port_answers(self.namesrv_port), 40)

    def _spawn(self, what, command):
        process = Process(command, self.home / what, env={"ROCKETMQ_HOME": str(self.home)})
        self._processes.append(process)
        return process

    def start_broker(self):
        before = self.broker.output().count("boot success") if self.broker else 0
        self.broker = self._spawn("broker", self._java(
            "org.apache.rocketmq.broker.BrokerStartup", self.home / "conf" / "broker.conf", 192,
            *self.options, *self.broker_options))

        def up():
            assert self.broker.running(), f"the broker ended:\n{self.log()}"
            return port_answers(self.broker_port) and self.broker.output().count("boot success") > before
        wait_until(lambda: f"the broker's port\n{self.log()}", up, 60)
        # A 5.3 broker registers its topics a moment after it says that it is up; until then no topic is created.
        wait_until("the broker's topics at the name server", lambda: has_route(self.namesrv_port, "TBW102"), 60)

    def create_topic(self, topic, queues=4):
        """On this broker, whatever its cluster's others have."""
        code, body = ask(self.broker_port, 17, topic=topic, defaultTopic="TBW102", readQueueNums=str(queues),
                         writeQueueNums=str(queues), perm="6", topicFilterType="SINGLE_TAG", topicSysFlag="0", order="false")
        assert code == 0, body

    def stop_broker(self):
        self.broker.stop(40)

    def log(self):
        """What the broker said, for a failed test's message."""
        file = self.home / "broker.log"
        return self.broker.output()[-2000:] + (file.read_text(errors="replace")[-3000:] if file.exists() else "")

    def stop(self):
        for process in reversed(self._processes):
            if process.running():
                process.kill()
        self._processes = []

// MQTT.js <url> <ca file> <client id> <protocol version>: subscribes, publishes to itself with each QoS, and leaves.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const [url, ca, clientId, version] = process.argv.slice(2);
const mqtt = createRequire(process.env.NODE_MODULES + "/x.js")("mqtt");

function fail(why) {
  console.error(`failed: ${why}`);
  process.exit(1);
}

setTimeout(() => fail("it takes too long"), 20000).unref();
const client = mqtt.connect(url, {
  clientId, protocolId: version === "3" ? "MQIsdp" : "MQTT", protocolVersion: Number(version), ca: readFileSync(ca), reconnectPeriod: 0, connectTimeout: 10000,
});
const topic = `js/${clientId}`;
const payload = "x".repeat(100000);
let received = 0;
client.on("error", (error) => fail(error.message));
client.on("connect", () => client.subscribe(topic, { qos: 2 }, (error) => {
  if (error) fail(error.message);
  for (const qos of [0, 1, 2])
    client.publish(topic, payload, { qos }, (problem) => problem && fail(problem.message));
}));
client.on("message", (_, message) => {
  if (message.toString() !== payload) fail("a payload is not as it was sent");
  if (++received === 3)
    client.end(false, {}, () => { console.log("done"); process.exit(0); });
});

// MQTT.js behind the commands of tests/e2e/harness/client_program.py.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const mqtt = createRequire(process.env.NODE_MODULES + "/x.js")("mqtt");
const clients = {};

// What comes, and who waits for it.
class Queue {
  items = [];
  waiting = [];
  put(item) {
    const next = this.waiting.shift();
    if (next) next(item);
    else this.items.push(item);
  }
  take() {
    return this.items.length ? Promise.resolve(this.items.shift()) : new Promise((resolve) => this.waiting.push(resolve));
  }
}

const PROPERTIES = {
  payloadFormatIndicator: true, contentType: "text", responseTopic: "answers", correlationData: Buffer.from("c-1"),
  userProperties: { b: ["1", "3"], a: "2" },
};

// MQTT.js keeps user properties in an object, which orders them by their first name: written as they were sent.
function told(properties) {
  if (!properties?.contentType) return "-";
  const user = Object.entries(properties.userProperties).flatMap(([name, value]) => [value].flat().map((one) => `${name}=${one}`));
  return [Number(properties.payloadFormatIndicator), properties.contentType, properties.responseTopic,
    properties.correlationData.toString(), user.sort((a, b) => a.at(-1) - b.at(-1)).join(",")].join("|");
}

// Without topic aliases: at QoS 2 this version of the library gives out the topic as it came, empty.
const commands = {
  open: (name, version, url, ca, clientId, clean, will) => new Promise((resolve, reject) => {
    const client = mqtt.connect(url, {
      clientId, protocolId: version === "3" ? "MQIsdp" : "MQTT", protocolVersion: Number(version), ca: readFileSync(ca),
      clean: clean === "1", reconnectPeriod: 0, connectTimeout: 30000,
      ...(will === "-" ? {} : { will: { topic: will, payload: "gone", qos: 1 } }),
      ...(version === "5" ? { properties: { sessionExpiryInterval: clean === "1" ? 0 : 300, receiveMaximum: 5 } } : {}),
    });
    const mine = { client, messages: new Queue(), ends: new Queue(), reason: "-" };
    client.on("error", reject);
    client.on("connect", (connack) => { clients[name] = mine; resolve([Number(connack.sessionPresent)]); });
    client.on("message", (topic, payload, packet) => mine.messages.put({ topic, payload, packet }));
    client.on("disconnect", (packet) => { mine.reason = packet.reasonCode; });
    client.on("close", () => mine.ends.put(mine.reason));
  }),
  subscribe: async (name, filter, qos) => {
    const [granted] = await clients[name].client.subscribeAsync(filter, { qos: Number(qos) });
    if (granted.qos >= 0x80) throw new Error(`refused: ${granted.qos}`);
    return [];
  },
  unsubscribe: async (name, filter) => { await clients[name].client.unsubscribeAsync(filter); return []; },
  publish: async (name, topic, qos, retain, size, byte, withProperties) => {
    await clients[name].client.publishAsync(topic, Buffer.alloc(Number(size), Number(byte)), {
      qos: Number(qos), retain: retain === "1", ...(withProperties === "1" ? { properties: PROPERTIES } : {}),
    });
    return [];
  },
  take: async (name) => {
    const { topic, payload, packet } = await clients[name].messages.take();
    const byte = payload.every((one) => one === payload[0]) ? payload[0] ?? 0 : "-";
    return [topic, packet.qos, Number(packet.retain), payload.length, byte, told(packet.properties)];
  },
  end: async (name) => [await clients[name].ends.take()],
  close: async (name) => { await clients[name].client.endAsync(); return []; },
};

for await (const line of createInterface({ input: process.stdin })) {
  const [command, ...words] = line.split("\t");
  try {
    console.log(["ok", ...await commands[command](...words)].join("\t"));
  } catch (error) {
    console.log(`error\t${error.message}`);
  }
}
process.exit(0);

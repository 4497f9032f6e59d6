package rollcall.e2e;

import com.alibaba.fastjson.JSONObject;
import com.aliyun.openservices.ons.api.Action;
import com.aliyun.openservices.ons.api.Admin;
import com.aliyun.openservices.ons.api.Consumer;
import com.aliyun.openservices.ons.api.Message;
import com.aliyun.openservices.ons.api.ONSFactory;
import com.aliyun.openservices.ons.api.Producer;
import com.aliyun.openservices.ons.api.PropertyKeyConst;
import com.aliyun.openservices.ons.api.PropertyValueConst;
import com.aliyun.openservices.ons.api.SendResult;
import com.aliyun.openservices.ons.api.order.OrderAction;
import com.aliyun.openservices.ons.api.order.OrderConsumer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.locks.LockSupport;

/** The official ons-client under remote control. */
public final class OnsDriver {
    private final Commands commands = new Commands();
    private final DemoStatus demo = new DemoStatus();
    private final Map<String, Admin> running = new ConcurrentHashMap<>();
    private final Map<String, Answers> answers = new ConcurrentHashMap<>();

    private OnsDriver() {
        commands.on("push", this::push);
        commands.on("producer", this::producer);
        commands.on("send", this::send);
        commands.on("flood", this::flood);
        commands.on("answer", this::answer);
        commands.on("stop", this::stop);
        commands.on("online", arguments -> demo.online(arguments.getString("client")));
    }

    private static Properties properties(JSONObject arguments) {
        Properties properties = new Properties();
        properties.setProperty(PropertyKeyConst.NAMESRV_ADDR, arguments.getString("namesrv"));
        properties.setProperty(PropertyKeyConst.AccessKey, arguments.getString("ak"));
        properties.setProperty(PropertyKeyConst.SecretKey, arguments.getString("sk"));
        if (arguments.getString("group") != null) {
            properties.setProperty(PropertyKeyConst.GROUP_ID, arguments.getString("group"));
        }
        if (arguments.getString("instanceId") != null) {
            properties.setProperty(PropertyKeyConst.INSTANCE_ID, arguments.getString("instanceId"));
        }
        if ("broadcasting".equals(arguments.getString("model"))) {
            properties.setProperty(PropertyKeyConst.MessageModel, PropertyValueConst.BROADCASTING);
        }
        properties.setProperty(PropertyKeyConst.ConsumeThreadNums, "2");
        return properties;
    }

    private Object push(JSONObject arguments) {
        String name = arguments.getString("name");
        String topic = arguments.getString("topic");
        String tags = arguments.getString("tags") == null ? "*" : arguments.getString("tags");
        Answers answer = new Answers(arguments.getString("answer"));
        answers.put(name, answer);
        if (arguments.getBooleanValue("orderly")) {
            OrderConsumer consumer = ONSFactory.createOrderedConsumer(properties(arguments));
            consumer.subscribe(topic, tags, (message, context) ->
                take(name, answer, message) ? OrderAction.Success : OrderAction.Suspend);
            running.put(name, consumer);
        } else {
            Consumer consumer = ONSFactory.createConsumer(properties(arguments));
            consumer.subscribe(topic, tags, (message, context) ->
                take(name, answer, message) ? Action.CommitMessage : Action.ReconsumeLater);
            running.put(name, consumer);
        }
        running.get(name).start();
        return null;
    }

    private boolean take(String name, Answers answer, Message message) {
        JSONObject shape = new JSONObject();
        shape.put("topic", message.getTopic());
        shape.put("msgId", message.getMsgID());
        shape.put("tag", message.getTag());
        shape.put("key", message.getKey());
        shape.put("reconsumeTimes", message.getReconsumeTimes());
        shape.put("bornTimestamp", message.getBornTimestamp());
        shape.put("bornHost", message.getBornHost());
        shape.put("queueOffset", message.getOffset());
        shape.put("properties", properties(message));
        shape.put("body", new String(message.getBody(), StandardCharsets.ISO_8859_1));
        JSONObject line = new JSONObject();
        line.put("mono", System.nanoTime());
        line.put("consumer", name);
        line.put("message", shape);
        commands.tell("message", line);
        if (message.getBody().length > 0 && message.getBody()[0] == '{') {
            demo.take(message.getBody());
        }
        return answer.take(message.getMsgID());
    }

    private static JSONObject properties(Message message) {
        Map<String, Object> all = new TreeMap<>();
        for (String key : message.getUserProperties().stringPropertyNames()) {
            all.put(key, message.getUserProperties(key));
        }
        return new JSONObject(all);
    }

    private Object producer(JSONObject arguments) {
        Producer producer = ONSFactory.createProducer(properties(arguments));
        producer.start();
        running.put(arguments.getString("name"), producer);
        return null;
    }

    private Object send(JSONObject arguments) {
        Message message = new Message(arguments.getString("topic"), arguments.getString("tags"),
            arguments.getString("keys"), arguments.getString("body").getBytes(StandardCharsets.UTF_8));
        if (arguments.containsKey("delayMs")) {
            message.setStartDeliverTime(System.currentTimeMillis() + arguments.getLongValue("delayMs"));
        }
        SendResult sent = ((Producer) running.get(arguments.getString("name"))).send(message);
        JSONObject shape = new JSONObject();
        shape.put("msgId", sent.getMessageId());
        shape.put("topic", sent.getTopic());
        return shape;
    }

    /** Many events at a steady rate; each body says when its sending began, by the clock of `mono`. */
    private Object flood(JSONObject arguments) throws Exception {
        Producer producer = (Producer) running.get(arguments.getString("name"));
        int count = arguments.getIntValue("count");
        long everyNs = (long) (1e9 / arguments.getDoubleValue("rate"));
        ExecutorService senders = Executors.newFixedThreadPool(4);
        List<Future<?>> sent = new ArrayList<>();
        long begun = System.nanoTime();
        for (int i = 0; i < count; i++) {
            LockSupport.parkNanos(begun + i * everyNs - System.nanoTime());
            String head = "{\"clientId\":\"GID_test@@@flood" + i + "\",\"time\":" + System.currentTimeMillis()
                + ",\"eventType\":\"tcpclean\",\"channelId\":\"" + String.format("%032x", i)
                + "\",\"clientIp\":\"127.0.0.1:1234\",\"mono\":";
            sent.add(senders.submit(() -> producer.send(new Message(arguments.getString("topic"),
                arguments.getString("tags"), (head + System.nanoTime() + "}").getBytes(StandardCharsets.UTF_8)))));
        }
        for (Future<?> each : sent) {
            each.get();
        }
        senders.shutdown();
        return null;
    }

    private Object answer(JSONObject arguments) {
        answers.get(arguments.getString("name")).set(arguments.getString("answer"));
        return null;
    }

    private Object stop(JSONObject arguments) {
        running.remove(arguments.getString("name")).shutdown();
        return null;
    }

    public static void main(String[] args) throws Exception {
        new OnsDriver().commands.serve();
    }
}

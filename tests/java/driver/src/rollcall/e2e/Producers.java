package rollcall.e2e;

import com.alibaba.fastjson.JSONObject;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendCallback;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageQueue;

/** Producers by name. */
final class Producers {
    private final Map<String, DefaultMQProducer> producers = new ConcurrentHashMap<>();

    Producers(Commands commands) {
        commands.on("producer", this::start);
        commands.on("send", this::send);
        commands.on("sendBatch", this::sendBatch);
        commands.on("stopProducer", this::stop);
    }

    private Object start(JSONObject arguments) throws Exception {
        String name = arguments.getString("name");
        String group = arguments.getString("group") == null ? "rollcall-e2e" : arguments.getString("group");
        DefaultMQProducer producer = new DefaultMQProducer(null, group, Driver.hook(arguments));
        producer.setNamesrvAddr(arguments.getString("namesrv"));
        producer.setInstanceName(name);
        producer.setSendMsgTimeout(arguments.containsKey("timeout") ? arguments.getIntValue("timeout") : 5000);
        producer.start();
        producers.put(name, producer);
        return null;
    }

    private Object send(JSONObject arguments) throws Exception {
        DefaultMQProducer producer = producers.get(arguments.getString("name"));
        Message message = message(arguments);
        String how = arguments.getString("how") == null ? "sync" : arguments.getString("how");
        switch (how) {
            case "sync":
                return Shapes.sent(arguments.containsKey("queueId")
                    ? producer.send(message, new MessageQueue(arguments.getString("topic"),
                        arguments.getString("broker"), arguments.getIntValue("queueId")))
                    : producer.send(message));
            case "oneway":
                producer.sendOneway(message);
                return null;
            case "async":
                return Shapes.sent(async(producer, message));
            default:
                throw new IllegalArgumentException("how? " + how);
        }
    }

    private static SendResult async(DefaultMQProducer producer, Message message) throws Exception {
        CompletableFuture<SendResult> result = new CompletableFuture<>();
        producer.send(message, new SendCallback() {
            @Override
            public void onSuccess(SendResult sent) {
                result.complete(sent);
            }

            @Override
            public void onException(Throwable e) {
                result.completeExceptionally(e);
            }
        });
        return result.get(10, TimeUnit.SECONDS);
    }

    private Object sendBatch(JSONObject arguments) throws Exception {
        List<Message> batch = new ArrayList<>();
        for (Object item : arguments.getJSONArray("messages")) {
            batch.add(message((JSONObject) item));
        }
        return Shapes.sent(producers.get(arguments.getString("name")).send(batch));
    }

    private Object stop(JSONObject arguments) {
        producers.remove(arguments.getString("name")).shutdown();
        return null;
    }

    private static Message message(JSONObject arguments) {
        Message message = new Message(arguments.getString("topic"), arguments.getString("tags"),
            arguments.getString("keys"), arguments.getString("body").getBytes(StandardCharsets.UTF_8));
        if (arguments.containsKey("delay")) {
            message.setDelayTimeLevel(arguments.getIntValue("delay"));
        }
        if (arguments.containsKey("flag")) {
            message.setFlag(arguments.getIntValue("flag"));
        }
        JSONObject properties = arguments.getJSONObject("properties");
        if (properties != null) {
            properties.forEach((key, value) -> message.putUserProperty(key, String.valueOf(value)));
        }
        return message;
    }
}

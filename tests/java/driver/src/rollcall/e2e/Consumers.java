package rollcall.e2e;

import com.alibaba.fastjson.JSONObject;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.rocketmq.client.consumer.DefaultLitePullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.ConsumeOrderlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.consumer.listener.MessageListenerOrderly;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.remoting.RPCHook;

/** Push and lite pull consumers by name; each message they get becomes a line of kind `message`. */
final class Consumers {
    private final Commands commands;
    private final DemoStatus demo;
    private final Map<String, Runnable> stops = new ConcurrentHashMap<>();
    private final Map<String, Answers> answers = new ConcurrentHashMap<>();

    Consumers(Commands commands, DemoStatus demo) {
        this.commands = commands;
        this.demo = demo;
        commands.on("push", this::push);
        commands.on("lite", this::lite);
        commands.on("answer", this::answer);
        commands.on("stop", this::stop);
    }

    private Object push(JSONObject arguments) throws Exception {
        String name = arguments.getString("name");
        RPCHook hook = Driver.hook(arguments);
        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer(null, arguments.getString("group"), hook);
        consumer.setNamesrvAddr(arguments.getString("namesrv"));
        consumer.setInstanceName(arguments.getString("instance") == null ? name : arguments.getString("instance"));
        consumer.setConsumeThreadMin(2);
        consumer.setConsumeThreadMax(2);
        // Otherwise a stop commits the offsets while the listener is still about to return.
        consumer.setAwaitTerminationMillisWhenShutdown(5000);
        if ("broadcasting".equals(arguments.getString("model"))) {
            Models.broadcast(consumer);
        }
        if ("first".equals(arguments.getString("from"))) {
            consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        }
        if (arguments.containsKey("maxReconsume")) {
            consumer.setMaxReconsumeTimes(arguments.getIntValue("maxReconsume"));
        }
        consumer.subscribe(arguments.getString("topic"), tags(arguments));
        Answers answer = new Answers(arguments.getString("answer"));
        int level = arguments.getIntValue("delayLevel");
        if (arguments.getBooleanValue("orderly")) {
            consumer.registerMessageListener((MessageListenerOrderly) (messages, context) -> {
                return take(name, answer, messages) ? ConsumeOrderlyStatus.SUCCESS
                    : ConsumeOrderlyStatus.SUSPEND_CURRENT_QUEUE_A_MOMENT;
            });
        } else {
            consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
                context.setDelayLevelWhenNextConsume(level);
                return take(name, answer, messages) ? ConsumeConcurrentlyStatus.CONSUME_SUCCESS
                    : ConsumeConcurrentlyStatus.RECONSUME_LATER;
            });
        }
        answers.put(name, answer);
        stops.put(name, consumer::shutdown);
        consumer.start();
        return consumer.buildMQClientId();
    }

    /** A lite pull consumer: subscribes, and tells what a thread of ours polls. */
    private Object lite(JSONObject arguments) throws Exception {
        String name = arguments.getString("name");
        DefaultLitePullConsumer consumer =
            new DefaultLitePullConsumer(null, arguments.getString("group"), Driver.hook(arguments));
        consumer.setNamesrvAddr(arguments.getString("namesrv"));
        consumer.setInstanceName(name);
        consumer.setAutoCommit(true);
        if ("first".equals(arguments.getString("from"))) {
            consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        }
        consumer.subscribe(arguments.getString("topic"), tags(arguments));
        consumer.start();
        Thread poller = new Thread(() -> {
            while (consumer.isRunning()) {
                take(name, new Answers("commit"), consumer.poll(500));
            }
        });
        poller.setDaemon(true);
        poller.start();
        stops.put(name, consumer::shutdown);
        return null;
    }

    private boolean take(String name, Answers answer, List<MessageExt> messages) {
        boolean consumed = true;
        for (MessageExt message : messages) {
            JSONObject line = new JSONObject();
            line.put("mono", System.nanoTime());
            line.put("consumer", name);
            line.put("message", Shapes.message(message));
            commands.tell("message", line);
            if (message.getBody().length > 0 && message.getBody()[0] == '{') {
                demo.take(message.getBody());
            }
            consumed &= answer.take(message.getMsgId());
        }
        return consumed;
    }

    private Object answer(JSONObject arguments) {
        answers.get(arguments.getString("name")).set(arguments.getString("answer"));
        return null;
    }

    private Object stop(JSONObject arguments) {
        stops.remove(arguments.getString("name")).run();
        return null;
    }

    private static String tags(JSONObject arguments) {
        return arguments.getString("tags") == null ? "*" : arguments.getString("tags");
    }
}

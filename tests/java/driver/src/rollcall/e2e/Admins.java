package rollcall.e2e;

import com.alibaba.fastjson.JSONArray;
import com.alibaba.fastjson.JSONObject;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.PullResult;
import org.apache.rocketmq.common.message.MessageQueue;

/** A pull consumer by name: pulls by hand, offsets, queries by key, by unique key and by id. */
final class Admins {
    private final Map<String, DefaultMQPullConsumer> consumers = new ConcurrentHashMap<>();

    Admins(Commands commands) {
        commands.on("admin", this::start);
        commands.on("queues", this::queues);
        commands.on("offsets", this::offsets);
        commands.on("pull", this::pull);
        commands.on("drain", this::drain);
        commands.on("commit", this::commit);
        commands.on("committed", this::committed);
        commands.on("byKey", this::byKey);
        commands.on("byId", this::byId);
        commands.on("byUniqueKey", this::byUniqueKey);
        commands.on("stopAdmin", this::stop);
    }

    private DefaultMQPullConsumer of(JSONObject arguments) {
        return consumers.get(arguments.getString("name"));
    }

    private Object start(JSONObject arguments) throws Exception {
        DefaultMQPullConsumer consumer =
            new DefaultMQPullConsumer(arguments.getString("group"), Driver.hook(arguments));
        consumer.setNamesrvAddr(arguments.getString("namesrv"));
        consumer.setInstanceName(arguments.getString("name"));
        consumer.start();
        consumers.put(arguments.getString("name"), consumer);
        return null;
    }

    private Object queues(JSONObject arguments) throws Exception {
        JSONArray queues = new JSONArray();
        for (MessageQueue queue : of(arguments).fetchSubscribeMessageQueues(arguments.getString("topic"))) {
            queues.add(Shapes.queue(queue));
        }
        return queues;
    }

    private Object offsets(JSONObject arguments) throws Exception {
        MessageQueue queue = Shapes.queue(arguments.getJSONObject("queue"));
        JSONObject offsets = new JSONObject();
        offsets.put("min", of(arguments).minOffset(queue));
        offsets.put("max", of(arguments).maxOffset(queue));
        if (arguments.containsKey("timestamp")) {
            offsets.put("search", of(arguments).searchOffset(queue, arguments.getLongValue("timestamp")));
        }
        if (arguments.getBooleanValue("earliest")) {
            offsets.put("earliest", of(arguments).earliestMsgStoreTime(queue));
        }
        return offsets;
    }

    private Object pull(JSONObject arguments) throws Exception {
        MessageQueue queue = Shapes.queue(arguments.getJSONObject("queue"));
        String tags = arguments.getString("tags") == null ? "*" : arguments.getString("tags");
        long offset = arguments.getLongValue("offset");
        int max = arguments.containsKey("max") ? arguments.getIntValue("max") : 32;
        PullResult result = arguments.getBooleanValue("block")
            ? of(arguments).pullBlockIfNotFound(queue, tags, offset, max)
            : of(arguments).pull(queue, tags, offset, max);
        return pulled(result);
    }

    private static JSONObject pulled(PullResult result) {
        JSONObject shape = new JSONObject();
        shape.put("status", result.getPullStatus().name());
        shape.put("next", result.getNextBeginOffset());
        shape.put("min", result.getMinOffset());
        shape.put("max", result.getMaxOffset());
        shape.put("messages", result.getMsgFoundList() == null ? new JSONArray() : Shapes.messages(result.getMsgFoundList()));
        return shape;
    }

    /** Everything that a topic holds, queue by queue, as a list of messages. */
    private Object drain(JSONObject arguments) throws Exception {
        Map<Integer, MessageQueue> queues = new TreeMap<>();
        for (MessageQueue queue : of(arguments).fetchSubscribeMessageQueues(arguments.getString("topic"))) {
            queues.put(queue.getQueueId(), queue);
        }
        JSONArray all = new JSONArray();
        for (MessageQueue queue : queues.values()) {
            long at = of(arguments).minOffset(queue);
            long end = of(arguments).maxOffset(queue);
            while (at < end) {
                PullResult result = of(arguments).pull(queue, "*", at, 32);
                if (result.getMsgFoundList() == null && result.getNextBeginOffset() <= at) {
                    throw new IllegalStateException(queue + " at " + at + " of " + end + ": " + result);
                }
                if (result.getMsgFoundList() != null) {
                    all.addAll(Shapes.messages(result.getMsgFoundList()));
                }
                at = result.getNextBeginOffset();
            }
        }
        return all;
    }

    /** Tells the broker at once: on its own the client does so for queues of topics registered for rebalancing only. */
    private Object commit(JSONObject arguments) throws Exception {
        MessageQueue queue = Shapes.queue(arguments.getJSONObject("queue"));
        of(arguments).updateConsumeOffset(queue, arguments.getLongValue("offset"));
        of(arguments).getDefaultMQPullConsumerImpl().getOffsetStore().persist(queue);
        return null;
    }

    private Object committed(JSONObject arguments) throws Exception {
        return of(arguments).fetchConsumeOffset(Shapes.queue(arguments.getJSONObject("queue")), true);
    }

    private Object byKey(JSONObject arguments) throws Exception {
        return Shapes.messages(of(arguments).queryMessage(arguments.getString("topic"), arguments.getString("key"),
            arguments.containsKey("max") ? arguments.getIntValue("max") : 32, arguments.getLongValue("begin"),
            arguments.containsKey("end") ? arguments.getLongValue("end") : Long.MAX_VALUE).getMessageList());
    }

    /** By the id that names a place in the log. */
    private Object byId(JSONObject arguments) throws Exception {
        return Shapes.message(of(arguments).viewMessage(arguments.getString("topic"), arguments.getString("msgId")));
    }

    /**
     * By the id that the client of its producer made. (The client's own viewMessage would first take it for a place in
     * the log and dial the address in it.)
     */
    private Object byUniqueKey(JSONObject arguments) throws Exception {
        return Shapes.message(of(arguments).getDefaultMQPullConsumerImpl()
            .queryMessageByUniqKey(arguments.getString("topic"), arguments.getString("key")));
    }

    private Object stop(JSONObject arguments) {
        consumers.remove(arguments.getString("name")).shutdown();
        return null;
    }
}

package rollcall.e2e;

import com.alibaba.fastjson.JSONArray;
import com.alibaba.fastjson.JSONObject;
import java.nio.charset.StandardCharsets;
import java.util.List;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.message.MessageClientExt;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/** Messages, queues and results as JSON: every field that a consumer can see. */
final class Shapes {
    private Shapes() {
    }

    static JSONObject message(MessageExt message) {
        JSONObject shape = new JSONObject();
        shape.put("topic", message.getTopic());
        shape.put("queueId", message.getQueueId());
        shape.put("queueOffset", message.getQueueOffset());
        shape.put("msgId", message.getMsgId());
        if (message instanceof MessageClientExt) {
            shape.put("offsetMsgId", ((MessageClientExt) message).getOffsetMsgId());
        }
        shape.put("commitLogOffset", message.getCommitLogOffset());
        shape.put("storeSize", message.getStoreSize());
        shape.put("bornTimestamp", message.getBornTimestamp());
        shape.put("bornHost", String.valueOf(message.getBornHost()));
        shape.put("storeTimestamp", message.getStoreTimestamp());
        shape.put("storeHost", String.valueOf(message.getStoreHost()));
        shape.put("bodyCRC", message.getBodyCRC());
        shape.put("sysFlag", message.getSysFlag());
        shape.put("flag", message.getFlag());
        shape.put("reconsumeTimes", message.getReconsumeTimes());
        shape.put("preparedTransactionOffset", message.getPreparedTransactionOffset());
        shape.put("properties", new JSONObject(new java.util.TreeMap<String, Object>(message.getProperties())));
        shape.put("body", new String(message.getBody(), StandardCharsets.ISO_8859_1));
        return shape;
    }

    static JSONArray messages(List<MessageExt> messages) {
        JSONArray shapes = new JSONArray();
        for (MessageExt message : messages) {
            shapes.add(message(message));
        }
        return shapes;
    }

    static JSONObject queue(MessageQueue queue) {
        JSONObject shape = new JSONObject();
        shape.put("topic", queue.getTopic());
        shape.put("broker", queue.getBrokerName());
        shape.put("queueId", queue.getQueueId());
        return shape;
    }

    static MessageQueue queue(JSONObject shape) {
        return new MessageQueue(shape.getString("topic"), shape.getString("broker"), shape.getIntValue("queueId"));
    }

    static JSONObject sent(SendResult result) {
        JSONObject shape = new JSONObject();
        shape.put("status", result.getSendStatus().name());
        shape.put("msgId", result.getMsgId());
        shape.put("offsetMsgId", result.getOffsetMsgId());
        shape.put("queueId", result.getMessageQueue().getQueueId());
        shape.put("queueOffset", result.getQueueOffset());
        return shape;
    }
}

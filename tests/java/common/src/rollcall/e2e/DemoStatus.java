package rollcall.e2e;

import com.alibaba.fastjson.JSON;
import com.alibaba.fastjson.JSONObject;
import com.aliyun.openservices.lmq.example.demo.ClientStatusEvent;
import com.aliyun.openservices.lmq.example.demo.MemoryHashMapStoreImpl;
import com.aliyun.openservices.lmq.example.demo.MqttClientStatusStore;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.Set;

/** The guide's logic over events, for consumers other than the guide's own. */
final class DemoStatus {
    private final MqttClientStatusStore store = new MemoryHashMapStoreImpl();

    /** Takes connect and tcpclean, as the guide's subscription does; anything else is passed over. */
    void take(byte[] body) {
        JSONObject event = JSON.parseObject(new String(body, StandardCharsets.UTF_8));
        String type = event.getString("eventType");
        if (!"connect".equals(type) && !"tcpclean".equals(type)) {
            return;
        }
        String client = event.getString("clientId");
        String channel = event.getString("channelId");
        ClientStatusEvent status = new ClientStatusEvent();
        status.setChannelId(channel);
        status.setClientIp(event.getString("clientIp"));
        status.setEventType(type);
        status.setTime(event.getLongValue("time"));
        store.addEvent(client, channel, type, status);
        Set<ClientStatusEvent> seen = store.getEvent(client, channel);
        if (seen != null && has(seen, true) && has(seen, false)) {
            store.deleteEvent(client, channel);
        }
    }

    boolean online(String client) {
        Map<String, Set<ClientStatusEvent>> channels = store.getEventsByClientId(client);
        if (channels == null) {
            return false;
        }
        for (Set<ClientStatusEvent> events : channels.values()) {
            if (has(events, true) && !has(events, false)) {
                return true;
            }
        }
        return false;
    }

    private static boolean has(Set<ClientStatusEvent> events, boolean online) {
        for (ClientStatusEvent event : events) {
            if (event.isOnlineEvent() == online) {
                return true;
            }
        }
        return false;
    }
}

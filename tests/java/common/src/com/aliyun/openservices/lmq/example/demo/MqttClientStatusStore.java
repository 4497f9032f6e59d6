package com.aliyun.openservices.lmq.example.demo;

import java.util.Map;
import java.util.Set;

/** Where the guide's consumer keeps the events it has seen: by client, then by channel. */
public interface MqttClientStatusStore {
    void addEvent(String clientId, String channelId, String eventType, ClientStatusEvent event);

    void deleteEvent(String clientId, String channelId);

    Set<ClientStatusEvent> getEvent(String clientId, String channelId);

    Map<String, Set<ClientStatusEvent>> getEventsByClientId(String clientId);
}

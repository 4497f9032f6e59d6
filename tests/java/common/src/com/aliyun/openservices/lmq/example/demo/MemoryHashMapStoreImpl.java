package com.aliyun.openservices.lmq.example.demo;

import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/**
 * The guide's store as it behaves: a channel is forgotten once both its events are in, so that a connect that is
 * delivered again afterwards stays for ever. (Its races are not kept: concurrent collections instead of plain ones.)
 */
public class MemoryHashMapStoreImpl implements MqttClientStatusStore {
    private final Map<String, Map<String, Set<ClientStatusEvent>>> clients = new ConcurrentHashMap<>();

    @Override
    public synchronized void addEvent(String clientId, String channelId, String eventType, ClientStatusEvent event) {
        clients.computeIfAbsent(clientId, id -> new ConcurrentHashMap<>())
            .computeIfAbsent(channelId, id -> ConcurrentHashMap.newKeySet())
            .add(event);
    }

    @Override
    public synchronized void deleteEvent(String clientId, String channelId) {
        Map<String, Set<ClientStatusEvent>> channels = clients.get(clientId);
        if (channels == null) {
            return;
        }
        channels.remove(channelId);
        if (channels.isEmpty()) {
            clients.remove(clientId);
        }
    }

    @Override
    public Set<ClientStatusEvent> getEvent(String clientId, String channelId) {
        Map<String, Set<ClientStatusEvent>> channels = clients.get(clientId);
        return channels == null ? null : channels.get(channelId);
    }

    @Override
    public Map<String, Set<ClientStatusEvent>> getEventsByClientId(String clientId) {
        return clients.get(clientId);
    }
}

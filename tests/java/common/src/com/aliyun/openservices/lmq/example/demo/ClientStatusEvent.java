package com.aliyun.openservices.lmq.example.demo;

import java.util.Objects;

/** One event of one channel. Two events of the same channel and type are the same event. */
public class ClientStatusEvent {
    private String channelId;
    private String clientIp;
    private String eventType;
    private long time;

    public void setChannelId(String channelId) {
        this.channelId = channelId;
    }

    public void setClientIp(String clientIp) {
        this.clientIp = clientIp;
    }

    public void setEventType(String eventType) {
        this.eventType = eventType;
    }

    public void setTime(long time) {
        this.time = time;
    }

    public String getClientIp() {
        return clientIp;
    }

    public long getTime() {
        return time;
    }

    public boolean isOnlineEvent() {
        return "connect".equals(eventType);
    }

    @Override
    public boolean equals(Object other) {
        if (!(other instanceof ClientStatusEvent)) {
            return false;
        }
        ClientStatusEvent that = (ClientStatusEvent) other;
        return Objects.equals(channelId, that.channelId) && Objects.equals(eventType, that.eventType);
    }

    @Override
    public int hashCode() {
        return Objects.hash(channelId, eventType);
    }
}

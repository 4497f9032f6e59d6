package com.aliyun.openservices.lmq.example.util;

import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.util.Base64;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;
import org.eclipse.paho.client.mqttv3.MqttConnectOptions;

/** What the guide's client program takes its connect options from: signature mode only. */
public class ConnectionOptionWrapper {
    private final MqttConnectOptions options = new MqttConnectOptions();

    public ConnectionOptionWrapper(String instanceId, String accessKey, String secretKey, String clientId)
        throws GeneralSecurityException {
        Mac mac = Mac.getInstance("HmacSHA1");
        mac.init(new SecretKeySpec(secretKey.getBytes(StandardCharsets.UTF_8), "HmacSHA1"));
        byte[] signature = mac.doFinal(clientId.getBytes(StandardCharsets.UTF_8));
        options.setUserName("Signature|" + accessKey + "|" + instanceId);
        options.setPassword(Base64.getEncoder().encodeToString(signature).toCharArray());
        options.setCleanSession(false);
        options.setKeepAliveInterval(90);
        options.setAutomaticReconnect(true);
        options.setMqttVersion(MqttConnectOptions.MQTT_VERSION_3_1_1);
        options.setConnectionTimeout(5000);
    }

    public MqttConnectOptions getMqttConnectOptions() {
        return options;
    }
}

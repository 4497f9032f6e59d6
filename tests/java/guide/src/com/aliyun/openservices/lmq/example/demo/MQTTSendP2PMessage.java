package com.aliyun.openservices.lmq.example.demo;

import com.aliyun.openservices.lmq.example.util.ConnectionOptionWrapper;
import java.nio.charset.StandardCharsets;
import org.eclipse.paho.client.mqttv3.IMqttDeliveryToken;
import org.eclipse.paho.client.mqttv3.MqttCallbackExtended;
import org.eclipse.paho.client.mqttv3.MqttClient;
import org.eclipse.paho.client.mqttv3.MqttMessage;
import org.eclipse.paho.client.mqttv3.persist.MemoryPersistence;

/** As the product's demo: one client sends to another, which has subscribed to nothing, by its client id. */
public class MQTTSendP2PMessage {
    private static final int COUNT = 10;

    public static void main(String[] args) throws Exception {
        MqttClient receiver = connect(args[0], args[1], args[3]);
        MqttClient sender = connect(args[0], args[1], args[2]);
        System.out.println("connected " + receiver.getClientId() + " and " + sender.getClientId());
        for (int i = 0; i < COUNT; i++) {
            MqttMessage message = new MqttMessage(("hello mq4Iot p2p msg " + i).getBytes(StandardCharsets.UTF_8));
            message.setQos(1);
            sender.publish(args[4] + "/p2p/" + args[3], message);
        }
        Thread.sleep(Long.MAX_VALUE);
    }

    private static MqttClient connect(String instanceId, String endPoint, String clientId) throws Exception {
        MqttClient client = new MqttClient("tcp://" + endPoint, clientId, new MemoryPersistence());
        client.setTimeToWait(5000);
        client.setCallback(new MqttCallbackExtended() {
            @Override
            public void connectComplete(boolean reconnect, String serverURI) {
                System.out.println("connect success");
            }

            @Override
            public void connectionLost(Throwable throwable) {
                throwable.printStackTrace();
            }

            @Override
            public void messageArrived(String topic, MqttMessage message) {
                System.out.println("receive msg from topic " + topic + " , body is "
                    + new String(message.getPayload(), StandardCharsets.UTF_8));
            }

            @Override
            public void deliveryComplete(IMqttDeliveryToken token) {
                System.out.println("send msg succeed topic is : " + token.getTopics()[0]);
            }
        });
        client.connect(new ConnectionOptionWrapper(instanceId, System.getenv("MQTT_AK_ENV"), System.getenv("MQTT_SK_ENV"),
            clientId).getMqttConnectOptions());
        return client;
    }
}

package com.aliyun.openservices.lmq.example.demo;

import com.aliyun.openservices.lmq.example.util.ConnectionOptionWrapper;
import com.aliyun.openservices.ons.api.Action;
import com.aliyun.openservices.ons.api.Consumer;
import com.aliyun.openservices.ons.api.ONSFactory;
import com.aliyun.openservices.ons.api.PropertyKeyConst;
import java.nio.charset.StandardCharsets;
import java.util.Properties;
import org.eclipse.paho.client.mqttv3.IMqttDeliveryToken;
import org.eclipse.paho.client.mqttv3.MqttCallbackExtended;
import org.eclipse.paho.client.mqttv3.MqttClient;
import org.eclipse.paho.client.mqttv3.MqttMessage;
import org.eclipse.paho.client.mqttv3.persist.MemoryPersistence;

/** As the product's demo: what an MQTT client publishes comes to a consumer of RocketMQ. */
public class MQ4IoTSendMessageToRocketMQ {
    private static final int COUNT = 10;

    public static void main(String[] args) throws Exception {
        String instanceId = args[0];
        String endPoint = args[1];
        String clientId = args[2];
        String mqttTopic = args[3];
        String accessKey = System.getenv("MQTT_AK_ENV");
        String secretKey = System.getenv("MQTT_SK_ENV");
        Properties properties = new Properties();
        properties.setProperty(PropertyKeyConst.GROUP_ID, args[4]);
        properties.put(PropertyKeyConst.AccessKey, accessKey);
        properties.put(PropertyKeyConst.SecretKey, secretKey);
        properties.put(PropertyKeyConst.NAMESRV_ADDR, args[5]);
        Consumer consumer = ONSFactory.createConsumer(properties);
        consumer.subscribe(args[6], "*", (message, context) -> {
            System.out.println("recv msg " + new String(message.getBody(), StandardCharsets.UTF_8)
                + " of " + message.getUserProperties("clientId")
                + " at " + message.getUserProperties("mqttSecondTopic")
                + " qos " + message.getUserProperties("qoslevel"));
            return Action.CommitMessage;
        });
        consumer.start();

        MqttClient mqttClient = new MqttClient("tcp://" + endPoint, clientId, new MemoryPersistence());
        mqttClient.setTimeToWait(5000);
        mqttClient.setCallback(new MqttCallbackExtended() {
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
                System.out.println("receive msg from topic " + topic);
            }

            @Override
            public void deliveryComplete(IMqttDeliveryToken token) {
                System.out.println("send msg succeed topic is : " + token.getTopics()[0]);
            }
        });
        mqttClient.connect(new ConnectionOptionWrapper(instanceId, accessKey, secretKey, clientId).getMqttConnectOptions());
        for (int i = 0; i < COUNT; i++) {
            MqttMessage message = new MqttMessage(("hello mq4Iot pub sub msg " + i).getBytes(StandardCharsets.UTF_8));
            message.setQos(1);
            mqttClient.publish(mqttTopic, message);
        }
        Thread.sleep(Long.MAX_VALUE);
    }
}

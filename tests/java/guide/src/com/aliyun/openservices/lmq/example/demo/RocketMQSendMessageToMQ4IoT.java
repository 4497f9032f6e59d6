package com.aliyun.openservices.lmq.example.demo;

import com.aliyun.openservices.ons.api.Message;
import com.aliyun.openservices.ons.api.ONSFactory;
import com.aliyun.openservices.ons.api.Producer;
import com.aliyun.openservices.ons.api.PropertyKeyConst;
import com.aliyun.openservices.ons.api.SendResult;
import java.nio.charset.StandardCharsets;
import java.util.Properties;

/** As the product's demo: messages of RocketMQ for subscribers of a topic, and for one client. */
public class RocketMQSendMessageToMQ4IoT {
    private static final int COUNT = 10;

    public static void main(String[] args) {
        Properties properties = new Properties();
        properties.setProperty(PropertyKeyConst.GROUP_ID, args[0]);
        properties.put(PropertyKeyConst.AccessKey, System.getenv("MQTT_AK_ENV"));
        properties.put(PropertyKeyConst.SecretKey, System.getenv("MQTT_SK_ENV"));
        properties.put(PropertyKeyConst.NAMESRV_ADDR, args[1]);
        String parentTopic = args[2];
        String clientId = args[3];
        Producer producer = ONSFactory.createProducer(properties);
        producer.start();
        for (int i = 0; i < COUNT; i++) {
            send(producer, parentTopic, "/subTopic", "to subscribers " + i);
            send(producer, parentTopic, "/p2p/" + clientId, "to one " + i);
        }
        producer.shutdown();
    }

    private static void send(Producer producer, String parentTopic, String secondTopic, String body) {
        Message message = new Message(parentTopic, "MQ2MQTT", body.getBytes(StandardCharsets.UTF_8));
        message.putUserProperties("mqttSecondTopic", secondTopic);
        SendResult result = producer.send(message);
        System.out.println("sent " + result.getMessageId());
    }
}

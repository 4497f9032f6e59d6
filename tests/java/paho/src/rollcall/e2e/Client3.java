package rollcall.e2e;

import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import javax.net.ssl.SSLSocketFactory;
import org.eclipse.paho.client.mqttv3.IMqttDeliveryToken;
import org.eclipse.paho.client.mqttv3.MqttCallback;
import org.eclipse.paho.client.mqttv3.MqttClient;
import org.eclipse.paho.client.mqttv3.MqttConnectOptions;
import org.eclipse.paho.client.mqttv3.MqttMessage;
import org.eclipse.paho.client.mqttv3.persist.MemoryPersistence;

/** MQTT 3.1.1. */
final class Client3 implements Scenario.Client, MqttCallback {
    private final MqttClient client;
    private final SSLSocketFactory tls;
    private final BlockingQueue<Scenario.Got> messages = new LinkedBlockingQueue<>();

    Client3(String uri, SSLSocketFactory tls, String id) throws Exception {
        this.tls = tls;
        client = new MqttClient(uri, id, new MemoryPersistence());
        client.setTimeToWait(20000);
        client.setCallback(this);
    }

    @Override
    public boolean connect(boolean clean, String willTopic) throws Exception {
        MqttConnectOptions options = new MqttConnectOptions();
        options.setMqttVersion(MqttConnectOptions.MQTT_VERSION_3_1_1);
        options.setCleanSession(clean);
        if (tls != null)
            options.setSocketFactory(tls);
        if (willTopic != null)
            options.setWill(willTopic, "gone".getBytes(), 1, false);
        return client.connectWithResult(options).getSessionPresent();
    }

    @Override
    public void subscribe(String filter, int qos) throws Exception {
        client.subscribe(filter, qos);
    }

    @Override
    public void publish(String topic, byte[] payload, int qos, boolean retained) throws Exception {
        client.publish(topic, payload, qos, retained);
    }

    @Override
    public void disconnect() throws Exception {
        client.disconnect();
    }

    @Override
    public BlockingQueue<Scenario.Got> messages() {
        return messages;
    }

    @Override
    public void messageArrived(String topic, MqttMessage message) {
        messages.add(new Scenario.Got(topic, message.getPayload(), message.isRetained()));
    }

    @Override
    public void connectionLost(Throwable cause) {
    }

    @Override
    public void deliveryComplete(IMqttDeliveryToken token) {
    }
}

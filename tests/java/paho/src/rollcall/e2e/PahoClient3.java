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

/** MQTT 3.1 and 3.1.1. */
final class PahoClient3 implements PahoDriver.Client, MqttCallback {
    private final MqttClient client;
    private final SSLSocketFactory tls;
    private final int version;
    private final BlockingQueue<String> messages = new LinkedBlockingQueue<>(), ends = new LinkedBlockingQueue<>();

    PahoClient3(String uri, SSLSocketFactory tls, String id, int version) throws Exception {
        this.tls = tls;
        this.version = version;
        client = new MqttClient(uri, id, new MemoryPersistence());
        client.setTimeToWait(PahoDriver.PATIENCE_S * 1000);
        client.setCallback(this);
    }

    @Override
    public boolean open(boolean clean, String willTopic) throws Exception {
        MqttConnectOptions options = new MqttConnectOptions();
        options.setMqttVersion(version);
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
    public void unsubscribe(String filter) throws Exception {
        client.unsubscribe(filter);
    }

    @Override
    public void publish(String topic, byte[] payload, int qos, boolean retained, boolean withProperties) throws Exception {
        client.publish(topic, payload, qos, retained);
    }

    @Override
    public void close() throws Exception {
        client.disconnect();
    }

    @Override
    public BlockingQueue<String> messages() {
        return messages;
    }

    @Override
    public BlockingQueue<String> ends() {
        return ends;
    }

    @Override
    public void messageArrived(String topic, MqttMessage message) {
        messages.add(PahoDriver.told(topic, message.getQos(), message.isRetained(), message.getPayload(), "-"));
    }

    @Override
    public void connectionLost(Throwable cause) {
        ends.add("-");
    }

    @Override
    public void deliveryComplete(IMqttDeliveryToken token) {
    }
}

package rollcall.e2e;

import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import javax.net.ssl.SSLSocketFactory;
import org.eclipse.paho.mqttv5.client.IMqttToken;
import org.eclipse.paho.mqttv5.client.MqttCallback;
import org.eclipse.paho.mqttv5.client.MqttClient;
import org.eclipse.paho.mqttv5.client.MqttConnectionOptions;
import org.eclipse.paho.mqttv5.client.MqttDisconnectResponse;
import org.eclipse.paho.mqttv5.client.persist.MemoryPersistence;
import org.eclipse.paho.mqttv5.common.MqttException;
import org.eclipse.paho.mqttv5.common.MqttMessage;
import org.eclipse.paho.mqttv5.common.packet.MqttProperties;

/** MQTT 5.0. */
final class Client5 implements Scenario.Client, MqttCallback {
    private final MqttClient client;
    private final SSLSocketFactory tls;
    private final BlockingQueue<Scenario.Got> messages = new LinkedBlockingQueue<>();

    Client5(String uri, SSLSocketFactory tls, String id) throws Exception {
        this.tls = tls;
        client = new MqttClient(uri, id, new MemoryPersistence());
        client.setTimeToWait(20000);
        client.setCallback(this);
    }

    @Override
    public boolean connect(boolean clean, String willTopic) throws Exception {
        MqttConnectionOptions options = new MqttConnectionOptions();
        options.setCleanStart(clean);
        options.setSessionExpiryInterval(clean ? 0L : 300L);
        options.setReceiveMaximum(5);
        options.setTopicAliasMaximum(3);
        if (tls != null)
            options.setSocketFactory(tls);
        if (willTopic != null)
            options.setWill(willTopic, new MqttMessage("gone".getBytes(), 1, false, null));
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
    public void disconnected(MqttDisconnectResponse response) {
    }

    @Override
    public void mqttErrorOccurred(MqttException exception) {
    }

    @Override
    public void deliveryComplete(IMqttToken token) {
    }

    @Override
    public void connectComplete(boolean reconnect, String uri) {
    }

    @Override
    public void authPacketArrived(int reasonCode, MqttProperties properties) {
    }
}

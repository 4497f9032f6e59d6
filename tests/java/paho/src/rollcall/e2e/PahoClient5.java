package rollcall.e2e;

import java.util.Arrays;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.stream.Collectors;
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
import org.eclipse.paho.mqttv5.common.packet.UserProperty;

/** MQTT 5.0. */
final class PahoClient5 implements PahoDriver.Client, MqttCallback {
    private final MqttClient client;
    private final SSLSocketFactory tls;
    private final BlockingQueue<String> messages = new LinkedBlockingQueue<>(), ends = new LinkedBlockingQueue<>();

    PahoClient5(String uri, SSLSocketFactory tls, String id) throws Exception {
        this.tls = tls;
        client = new MqttClient(uri, id, new MemoryPersistence());
        client.setTimeToWait(PahoDriver.PATIENCE_S * 1000);
        client.setCallback(this);
    }

    @Override
    public boolean open(boolean clean, String willTopic) throws Exception {
        MqttConnectionOptions options = new MqttConnectionOptions();
        options.setCleanStart(clean);
        options.setSessionExpiryInterval(clean ? 0L : 300L);
        options.setReceiveMaximum(5); // no topic aliases: this version of the library gives out an empty topic then
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
    public void unsubscribe(String filter) throws Exception {
        client.unsubscribe(filter);
    }

    private static MqttProperties properties() {
        MqttProperties properties = new MqttProperties();
        properties.setPayloadFormat(true);
        properties.setContentType("text");
        properties.setResponseTopic("answers");
        properties.setCorrelationData("c-1".getBytes());
        properties.setUserProperties(Arrays.asList(new UserProperty("b", "1"), new UserProperty("a", "2"), new UserProperty("b", "3")));
        return properties;
    }

    private static String told(MqttProperties properties) {
        if (properties == null || properties.getContentType() == null)
            return "-";
        String users = properties.getUserProperties().stream().map(one -> one.getKey() + "=" + one.getValue())
                .collect(Collectors.joining(","));
        return (properties.getPayloadFormat() ? 1 : 0) + "|" + properties.getContentType() + "|" + properties.getResponseTopic() + "|"
                + new String(properties.getCorrelationData()) + "|" + users;
    }

    @Override
    public void publish(String topic, byte[] payload, int qos, boolean retained, boolean withProperties) throws Exception {
        client.publish(topic, new MqttMessage(payload, qos, retained, withProperties ? properties() : null));
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
        messages.add(PahoDriver.told(topic, message.getQos(), message.isRetained(), message.getPayload(),
                told(message.getProperties())));
    }

    @Override
    public void disconnected(MqttDisconnectResponse response) {
        ends.add(response.getReturnCode() > 0 ? Integer.toString(response.getReturnCode()) : "-");
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

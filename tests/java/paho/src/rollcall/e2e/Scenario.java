package rollcall.e2e;

import java.io.FileInputStream;
import java.io.InputStream;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.util.Arrays;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLSocketFactory;
import javax.net.ssl.TrustManagerFactory;

/**
 * What paho's Java clients do in one run: arguments are the URI, the CA's file, the client id and the version of MQTT. Each QoS
 * to itself, a retained message, a takeover, a will, what came while it was away.
 */
public final class Scenario {
    private static final int SIZE = 70000;
    private static final long PATIENCE_S = 20;

    /** One client; each version has its own. */
    interface Client {
        boolean connect(boolean clean, String willTopic) throws Exception; // whether a session was there

        void subscribe(String filter, int qos) throws Exception;

        void publish(String topic, byte[] payload, int qos, boolean retained) throws Exception;

        void disconnect() throws Exception;

        BlockingQueue<Got> messages();
    }

    static final class Got {
        final String topic;
        final byte[] payload;
        final boolean retained;

        Got(String topic, byte[] payload, boolean retained) {
            this.topic = topic;
            this.payload = payload;
            this.retained = retained;
        }
    }

    static SSLSocketFactory trusting(String ca) throws Exception {
        KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
        store.load(null, null);
        try (InputStream in = new FileInputStream(ca)) {
            store.setCertificateEntry("ca", CertificateFactory.getInstance("X.509").generateCertificate(in));
        }
        TrustManagerFactory trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        trust.init(store);
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(null, trust.getTrustManagers(), null);
        return context.getSocketFactory();
    }

    private static void expect(Client client, String topic, byte[] payload, boolean retained) throws Exception {
        Got got = client.messages().poll(PATIENCE_S, TimeUnit.SECONDS);
        if (got == null)
            throw new AssertionError("nothing came to " + topic);
        if (!got.topic.equals(topic) || !Arrays.equals(got.payload, payload) || got.retained != retained)
            throw new AssertionError(topic + " expected, and this came: " + got.topic + ", " + got.payload.length + " bytes, retained "
                    + got.retained);
    }

    private static byte[] bytes(int value) {
        byte[] bytes = new byte[SIZE];
        Arrays.fill(bytes, (byte) value);
        return bytes;
    }

    private static Client make(int version, String uri, String ca, String id) throws Exception {
        SSLSocketFactory tls = uri.startsWith("ssl:") || uri.startsWith("wss:") ? trusting(ca) : null;
        return version == 5 ? new Client5(uri, tls, id) : new Client3(uri, tls, id);
    }

    private static void run(String[] args) throws Exception {
        String id = args[2], base = "java/" + id;
        int version = Integer.parseInt(args[3]);
        Client one = make(version, args[0], args[1], id);
        Client other = make(version, args[0], args[1], id + "-other");
        if (one.connect(false, base + "/will"))
            throw new AssertionError("a session before the first one");
        one.subscribe(base + "/a/#", 2);
        for (int qos = 0; qos <= 2; qos++) {
            one.publish(base + "/a/" + qos, bytes(qos), qos, false);
            expect(one, base + "/a/" + qos, bytes(qos), false);
        }
        other.connect(true, null);
        other.publish(base + "/kept", bytes(7), 1, true);
        one.subscribe(base + "/kept", 1);
        expect(one, base + "/kept", bytes(7), true);
        other.subscribe(base + "/will", 1);
        Client second = make(version, args[0], args[1], id); // takes over: the first one's will is due
        if (!second.connect(false, null))
            throw new AssertionError("no session");
        expect(other, base + "/will", "gone".getBytes(), false);
        second.disconnect();
        other.publish(base + "/a/away", bytes(9), 2, false);
        Client third = make(version, args[0], args[1], id);
        if (!third.connect(false, null))
            throw new AssertionError("no session");
        expect(third, base + "/a/away", bytes(9), false);
        other.publish(base + "/kept", new byte[0], 1, true);
        third.disconnect();
        other.disconnect();
    }

    public static void main(String[] args) {
        int code = 1;
        try {
            run(args);
            System.out.println("done");
            code = 0;
        } catch (Throwable error) {
            error.printStackTrace();
        }
        System.exit(code); // a client that is not closed keeps threads
    }
}

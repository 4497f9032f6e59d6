package rollcall.e2e;

import java.io.BufferedReader;
import java.io.FileInputStream;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.TimeUnit;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLSocketFactory;
import javax.net.ssl.TrustManagerFactory;

/** paho's Java clients behind the commands of tests/e2e/harness/client_program.py. */
public final class PahoDriver {
    static final long PATIENCE_S = 60;

    /** One client; each version has its own library. */
    interface Client {
        boolean open(boolean clean, String willTopic) throws Exception; // whether a session was there

        void subscribe(String filter, int qos) throws Exception;

        void unsubscribe(String filter) throws Exception;

        void publish(String topic, byte[] payload, int qos, boolean retained, boolean withProperties) throws Exception;

        void close() throws Exception;

        BlockingQueue<String> messages(); // as `take` answers

        BlockingQueue<String> ends(); // reasons
    }

    private static final Map<String, Client> clients = new HashMap<>();

    static String told(String topic, int qos, boolean retained, byte[] payload, String properties) {
        byte[] even = new byte[payload.length];
        if (payload.length > 0)
            Arrays.fill(even, payload[0]);
        String fill = !Arrays.equals(payload, even) ? "-" : payload.length == 0 ? "0" : Integer.toString(payload[0]);
        return topic + "\t" + qos + "\t" + (retained ? 1 : 0) + "\t" + payload.length + "\t" + fill + "\t" + properties;
    }

    private static SSLSocketFactory trusting(String ca) throws Exception {
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

    private static String poll(BlockingQueue<String> queue) throws Exception {
        String item = queue.poll(PATIENCE_S, TimeUnit.SECONDS);
        if (item == null)
            throw new IllegalStateException("nothing came");
        return item;
    }

    private static String open(String[] words) throws Exception {
        int version = Integer.parseInt(words[2]);
        SSLSocketFactory tls = words[3].matches("(ssl|wss):.*") ? trusting(words[4]) : null;
        Client client = version == 5 ? new PahoClient5(words[3], tls, words[5]) : new PahoClient3(words[3], tls, words[5], version);
        boolean present = client.open(words[6].equals("1"), words[7].equals("-") ? null : words[7]);
        clients.put(words[1], client);
        return present ? "1" : "0";
    }

    private static String publish(Client client, String[] words) throws Exception {
        byte[] payload = new byte[Integer.parseInt(words[5])];
        Arrays.fill(payload, Byte.parseByte(words[6]));
        client.publish(words[2], payload, Integer.parseInt(words[3]), words[4].equals("1"), words[7].equals("1"));
        return null;
    }

    /** The answer's words, null when there are none. */
    private static String run(String[] words) throws Exception {
        Client client = clients.get(words[1]);
        switch (words[0]) {
        case "open":
            return open(words);
        case "subscribe":
            client.subscribe(words[2], Integer.parseInt(words[3]));
            return null;
        case "unsubscribe":
            client.unsubscribe(words[2]);
            return null;
        case "publish":
            return publish(client, words);
        case "take":
            return poll(client.messages());
        case "end":
            return poll(client.ends());
        default:
            client.close();
            return null;
        }
    }

    public static void main(String[] args) throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            try {
                String answer = run(line.split("\t"));
                System.out.println(answer == null ? "ok" : "ok\t" + answer);
            } catch (Exception error) {
                error.printStackTrace();
                System.out.println("error\t" + error);
            }
        }
        System.exit(0); // clients that are not closed keep threads
    }
}

package rollcall.e2e;

import com.alibaba.fastjson.JSONObject;
import com.sun.management.OperatingSystemMXBean;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Paths;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendStatus;
import org.apache.rocketmq.common.message.Message;

/**
 * Apache's producer in batch mode, for comparison: BatchSender NAMESRV TOPIC FILE BATCH THREADS COUNT. The file has a
 * message a line: {"tags":..,"keys":..,"body":..}. Sends COUNT of them to warm up, then COUNT, and prints what the
 * second ones cost this whole process.
 */
public final class BatchSender {
    private static final class Line {
        final String tags, keys;
        final byte[] body;

        Line(JSONObject json) {
            tags = json.getString("tags");
            keys = json.getString("keys");
            body = json.getString("body").getBytes(StandardCharsets.UTF_8);
        }
    }

    private final DefaultMQProducer producer = new DefaultMQProducer("rollcall-speed");
    private final List<Line> lines = new ArrayList<>();
    private final String topic;
    private final int batch;
    private final AtomicInteger failures = new AtomicInteger();

    private BatchSender(String namesrv, String topic, String file, int batch) throws Exception {
        this.topic = topic;
        this.batch = batch;
        for (String line : Files.readAllLines(Paths.get(file), StandardCharsets.UTF_8)) {
            lines.add(new Line(com.alibaba.fastjson.JSON.parseObject(line)));
        }
        producer.setNamesrvAddr(namesrv);
        producer.setSendMsgTimeout(10000);
        producer.start();
    }

    private void send(int from, int to) {
        for (int at = from; at < to; at += batch) {
            List<Message> messages = new ArrayList<>(batch);
            for (int i = at; i < at + batch && i < to; i++) {
                Line line = lines.get(i % lines.size());
                messages.add(new Message(topic, line.tags, line.keys, line.body));
            }
            try {
                if (producer.send(messages).getSendStatus() != SendStatus.SEND_OK) {
                    failures.incrementAndGet();
                }
            } catch (Exception e) {
                failures.incrementAndGet();
            }
        }
    }

    private void sendAll(int count, int threads) throws InterruptedException {
        List<Thread> running = new ArrayList<>();
        for (int i = 0; i < threads; i++) {
            int from = (int) ((long) count * i / threads);
            int to = (int) ((long) count * (i + 1) / threads);
            running.add(new Thread(() -> send(from, to)));
            running.get(i).start();
        }
        for (Thread thread : running) {
            thread.join();
        }
    }

    public static void main(String[] arguments) throws Exception {
        BatchSender sender =
            new BatchSender(arguments[0], arguments[1], arguments[2], Integer.parseInt(arguments[3]));
        int threads = Integer.parseInt(arguments[4]);
        int count = Integer.parseInt(arguments[5]);
        OperatingSystemMXBean system = (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
        sender.sendAll(count, threads);
        sender.failures.set(0);
        long cpu = system.getProcessCpuTime();
        long begun = System.nanoTime();
        sender.sendAll(count, threads);
        long took = System.nanoTime() - begun;
        cpu = system.getProcessCpuTime() - cpu;
        System.out.println("{\"messages\":" + count + ",\"cpuNs\":" + cpu + ",\"ns\":" + took + ",\"failures\":"
            + sender.failures.get() + "}");
        sender.producer.shutdown();
        System.exit(0);
    }
}
